"""What a flow needs of the workspace as a whole: to be alone in it, and dvc.lock in DVC's own order."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dvc.repo import Repo
from dvc.utils.serialize import dumps_yaml, load_yaml, parse_yaml_for_update
from filelock import FileLock, Timeout

from pipelines.dag import StageNode
from pipelines.processes.commands import end_orphans

_ORPHAN_GRACE_SECONDS = 30.0


class ProjectBusyError(RuntimeError):
    """Another flow runs in this workspace."""


@contextmanager
def exclusive_project() -> Iterator[None]:
    """Hold the workspace for one flow, after ending what a flow that was killed outright left running.

    The lock vanishes with its process, however that dies; a process that holds it may take it again.
    Raises ProjectBusyError if another flow holds it, DvcException outside of a DVC repository.
    """
    root = Path(Repo.find_root())
    path = root / Repo.DVC_DIR / "tmp" / "flow.lock"
    path.parent.mkdir(exist_ok=True)
    try:
        lock = FileLock(path, timeout=0, is_singleton=True).acquire()
    except Timeout as error:
        message = f"another flow is running in {root}; wait for it to end or stop it"
        raise ProjectBusyError(message) from error
    with lock:
        end_orphans(project_tag(), own=process_tag(""), grace=_ORPHAN_GRACE_SECONDS)
        yield


def process_tag(name: str) -> str:
    """The mark of a process that this flow starts in this workspace."""
    return f"{project_tag()}{os.getpid()}::{name}"


def project_tag() -> str:
    """What the marks of all flows' processes in this workspace start with."""
    return f"{Repo.find_root()}::"


@contextmanager
def dvc_lock_in_plan_order(stages: Sequence[StageNode]) -> Iterator[None]:
    """Put entries that the body adds to dvc.lock into the order in which `dvc repro` would add them.

    Stages that run in parallel end in any order; dvc.lock is committed, so chance must not show in it.
    """
    files = sorted({stage.lock_file for stage in stages if stage.lock_file is not None})
    former = {file: _lock_keys(file) for file in files}
    try:
        yield
    finally:
        for file in files:
            planned = [stage.lock_key for stage in stages if stage.lock_file == file]
            _reorder(file, ordered_keys(former[file], planned, _lock_keys(file)))


def ordered_keys(former: Sequence[str], planned: Sequence[str], present: Sequence[str]) -> list[str]:
    """Order the present keys: former ones where they were, then new ones as planned, then the rest."""
    order = dict.fromkeys([*former, *planned, *present])
    return [key for key in order if key in set(present)]


def _lock_keys(file: Path) -> list[str]:
    return list(load_yaml(str(file)).get("stages", {})) if file.exists() else []


def _reorder(file: Path, keys: Sequence[str]) -> None:
    if keys == _lock_keys(file):
        return
    with Repo(os.curdir) as repo, repo.lock:
        # As DVC rewrites the file itself: loaded so that numbers and quotes keep the form they have.
        content = parse_yaml_for_update(file.read_text(encoding="utf-8"), str(file))
        for key in keys:
            content["stages"].move_to_end(key)
        replacement = file.with_name(f".{file.name}.reordered")
        replacement.write_text(dumps_yaml(content), encoding="utf-8")
        replacement.replace(file)
