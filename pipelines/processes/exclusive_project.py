"""One flow at a time in a project, and the tag of the processes that it starts."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dvc.repo import Repo
from filelock import FileLock, Timeout

from pipelines.processes.commands import end_orphans

_ORPHAN_GRACE_SECONDS = 30.0


class ProjectBusyError(RuntimeError):
    """Another flow runs in this project."""


@contextmanager
def exclusive_project() -> Iterator[None]:
    """Lock the project in the current folder for one flow, and end processes that a killed flow left in it.

    The operating system releases the lock when the process ends. The process that holds it may take it again.

    Raises:
        ProjectBusyError: another flow holds the lock.
        DvcException: the current folder is in no DVC repository.
    """
    root = Path(Repo.find_root())
    path = root / Repo.DVC_DIR / "tmp" / "flow.lock"
    path.parent.mkdir(exist_ok=True)
    try:
        lock = FileLock(path, timeout=0, is_singleton=True).acquire()
    except Timeout as error:
        message = f"another flow is running in {root}: wait until it ends, or stop it"
        raise ProjectBusyError(message) from error
    with lock:
        end_orphans(project_tag(), own=process_tag(""), grace=_ORPHAN_GRACE_SECONDS)
        yield


def process_tag(name: str) -> str:
    """Return the tag of a process that this flow starts in this project."""
    return f"{project_tag()}{os.getpid()}::{name}"


def project_tag() -> str:
    """Return the start of the tags of all flows' processes in this project."""
    return f"{Repo.find_root()}::"
