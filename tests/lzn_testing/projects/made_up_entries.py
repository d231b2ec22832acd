"""A DVC pipeline with a remote and made-up run-cache entries; no command of a stage is executed."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dvc.repo import Repo
from dvc.stage.serialize import to_single_stage_lockfile
from dvc.utils.serialize import dumps_yaml
from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.meta import Meta
from dvc_data.hashfile.tree import Tree

from pipelines.cluster.remote.resolution import Resolution
from pipelines.dag import dependencies_in


def make_repo(folder: Path, stages: Mapping[str, Mapping[str, Any]], params: Mapping[str, Any]) -> None:
    """Write a repository without git, its params.yaml, and a default remote in the folder ``remote``."""
    folder.joinpath("dvc.yaml").write_text(
        dumps_yaml({"stages": {name: {"cmd": f"run {name}", **stage} for name, stage in stages.items()}})
    )
    write_params(folder, params)
    with Repo.init(str(folder), no_scm=True) as repo, repo.config.edit("repo") as config:
        config["core"]["remote"] = "here"
        config["remote"] = {"here": {"url": str(folder / "remote")}}


def write_params(folder: Path, params: Mapping[str, Any]) -> None:
    """Write params.yaml."""
    folder.joinpath("params.yaml").write_text(dumps_yaml(dict(params)))


def open_resolution(folder: Path) -> Resolution:
    """Return a client that knows nothing yet."""
    repo = Repo(str(folder))
    return Resolution(repo, dependencies_in(repo))


def publish(resolution: Resolution, name: str, content: str = "") -> None:
    """Publish an entry of a stage as if it had made these files; the dependencies must have been found."""
    key, stage = resolution.key(name), resolution.stage(name)
    for out in stage.outs:
        out.hash_info, out.meta = HashInfo("md5", _md5(f"{out} {content}")), Meta(size=1)
    resolution.run_cache.publish(key, to_single_stage_lockfile(stage))


def publish_folder(resolution: Resolution, name: str, content: str = "") -> Path:
    """Publish an entry of a stage with one folder, and the list of its only file; return the path of the list."""
    key, stage = resolution.key(name), resolution.stage(name)
    tree = Tree()  # type: ignore[no-untyped-call]
    tree.add(("file",), Meta(), HashInfo("md5", _md5(content)))
    tree.digest()
    (out,) = stage.outs
    out.hash_info, out.meta = tree.hash_info, Meta(isdir=True)
    listing = Path(resolution._objects.oid_to_path(tree.hash_info.value))
    listing.parent.mkdir(parents=True, exist_ok=True)
    listing.write_bytes(tree.as_bytes())
    resolution.run_cache.publish(key, to_single_stage_lockfile(stage))
    return listing


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
