"""Check out the outputs that workers pushed, and write dvc.lock. No stage is run.

    python -m pipelines.cluster.collector [--targets train measure@rf ...]

It works in a clone, for its current size, with its default DVC remote. After it, `dvc repro` writes only results/.
Exit code: 0 if all outputs are collected, 1 if some are missing or damaged, or after another error.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dvc.config import NoRemoteError
from dvc.dvcfile import Lockfile
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.stage.loader import StageLoader

from lzn.base.sections import ParamsError
from lzn.base.streams import escape_other_characters
from pipelines.cluster.remote.files import DamagedOutputsError, delete_damaged, fetch_outputs
from pipelines.cluster.remote.resolution import Resolution
from pipelines.cluster.remote.run_cache import DiskError, RemoteError
from pipelines.dag import DEFAULT_TARGETS, cached_dependencies_in
from pipelines.processes.exclusive_project import ProjectBusyError, exclusive_project
from pipelines.sizes import NO_GIT, lacks_git


def collect(repo: Repo, resolution: Resolution) -> None:
    """Fetch and verify the outputs of all found stages, and write the same dvc.lock as `dvc repro`.

    Raises:
        DamagedOutputsError: objects are damaged. They are deleted, so that their stages run again.
        RemoteError, DiskError: the remote or the disk cannot be used.
    """
    try:
        fetch_outputs(repo, resolution.outputs())
    except DamagedOutputsError as error:
        delete_damaged(repo, resolution, error)
        raise
    write_locks(repo, resolution)


def write_locks(repo: Repo, resolution: Resolution) -> None:
    """Write the found stages to the dvc.lock beside their dvc.yaml. Entries of other stages are kept."""
    by_file: dict[Path, list[Any]] = {}
    for name, entry in resolution.entries.items():
        stage = resolution.stage(name)
        StageLoader.fill_from_lock(stage, entry)
        by_file.setdefault(Path(stage.path).with_suffix(".lock"), []).append(stage)
    with repo.lock:
        for file, stages in by_file.items():
            Lockfile(repo, str(file)).dump_stages(stages)


def collect_here(targets: Sequence[str]) -> tuple[str, ...]:
    """Collect into the project in the current folder. Return missing stages whose dependencies are not missing.

    Raises:
        DamagedOutputsError, RemoteError, DiskError: as `collect`.
        NoRemoteError: the project has no default remote.
        ProjectBusyError: a flow runs in this project.
    """
    with exclusive_project(), Repo(os.curdir) as repo:
        dependencies = cached_dependencies_in(repo, targets or DEFAULT_TARGETS)
        resolution = Resolution(repo, dependencies)
        missing = resolution.find_all(dependencies)
        collect(repo, resolution)
    print(f"Collected {len(resolution.entries)} of {len(dependencies)} stages.")
    return missing


def main(arguments: Sequence[str] | None = None) -> int:
    """Collect from the command line. Return the exit code."""
    escape_other_characters()
    parser = argparse.ArgumentParser(prog="python -m pipelines.cluster.collector", description=__doc__)
    parser.add_argument("--targets", nargs="+", default=[], help="stages or families (default: all)")
    options = parser.parse_args(arguments)
    if lacks_git():
        print(f"error: {NO_GIT}", file=sys.stderr)
        return 1
    try:
        missing = collect_here(options.targets)
    except NoRemoteError:
        reason = "this clone has no default DVC remote: dvc remote add --local --default cluster s3://BUCKET/PREFIX"
    except (
        DamagedOutputsError,
        DiskError,
        DvcException,
        ParamsError,
        RemoteError,
        ProjectBusyError,
    ) as error:
        reason = str(error)
    else:
        reason = (
            f"no outputs for the code and parameters in this clone: {', '.join(missing)}" if missing else ""
        )
    if reason:
        print(f"error: {reason}", file=sys.stderr)
    return 1 if reason else 0


if __name__ == "__main__":
    sys.exit(main())
