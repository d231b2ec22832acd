"""Find and stop the processes of a stack by a variable in their environment, which child processes inherit."""

import signal
import time
from typing import Final

import psutil

from infra.processes import send_signal
from infra.stack.layout import Layout

TAG_VARIABLE: Final = "LZN_STACK_PROCESS"
_KILL_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.05


def tag(layout: Layout, service: str) -> str:
    """Return the value of `TAG_VARIABLE` in the processes of a service."""
    return f"{layout.root}:{service}"


def tagged_processes(layout: Layout, service: str | None = None) -> list[psutil.Process]:
    """Return the running processes of one service, or of the whole stack."""
    return [process for process in psutil.process_iter() if _belongs(process, layout, service)]


def terminate(layout: Layout, service: str | None = None, *, grace: float) -> None:
    """Send SIGTERM to parents first, and SIGKILL to what still runs after `grace` seconds.

    A child gets SIGTERM after its parent has ended, since the parent may stop it itself, as a flow does with stages.
    """
    deadline = time.monotonic() + grace
    signalled: set[psutil.Process] = set()
    while (alive := tagged_processes(layout, service)) and time.monotonic() < deadline:
        ids = {process.pid for process in alive}
        parents = {process for process in alive if _parent(process) not in ids}
        for process in parents - signalled:
            send_signal(process, signal.SIGTERM)
        signalled |= parents
        time.sleep(_POLL_SECONDS)
    kill(layout, service)


def kill(layout: Layout, service: str | None = None) -> None:
    """Send SIGKILL until no process is left, for 10 s at most (a process may hang in the kernel)."""
    deadline = time.monotonic() + _KILL_SECONDS
    while (alive := tagged_processes(layout, service)) and time.monotonic() < deadline:
        for process in alive:
            send_signal(process, signal.SIGKILL)
        time.sleep(_POLL_SECONDS)


def _parent(process: psutil.Process) -> int:
    try:
        return int(process.ppid())
    except psutil.NoSuchProcess:
        return 0


def _belongs(process: psutil.Process, layout: Layout, service: str | None) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        found: str = process.environ().get(TAG_VARIABLE, "")
        if found.startswith(tag(layout, service or "")) and service in (
            None,
            found.removeprefix(tag(layout, "")),
        ):
            return True
        # PostgreSQL's backends overwrite their environment with their titles; their folder is the data folder.
        return (
            service in (None, "postgres")
            and process.name() == "postgres"
            and process.cwd() == str(layout.cluster)
        )
    except (psutil.Error, OSError):
        return False  # it has ended, or belongs to another user or the kernel
