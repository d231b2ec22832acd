"""The processes of a stack, found by a mark in their environment: nothing they start can shed it by chance."""

import contextlib
import signal
import time
from collections.abc import Collection
from typing import Final

import psutil

from infra.stack.layout import Layout

MARK: Final = "LZN_STACK_PROCESS"
TERMINATE: Final = signal.SIGTERM
_KILL_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.05


def mark(layout: Layout, service: str) -> str:
    """What the processes of a service bear as LZN_STACK_PROCESS."""
    return f"{layout.root}:{service}"


def processes(layout: Layout, service: str | None = None) -> list[psutil.Process]:
    """The living processes of one service, or of the whole stack."""
    return [process for process in psutil.process_iter() if _belongs(process, layout, service)]


def end(layout: Layout, service: str | None = None, *, grace: float, spare: Collection[int] = ()) -> None:
    """SIGTERM to all of them but the ids in `spare`, and after `grace` seconds SIGKILL to what is left."""
    deadline = time.monotonic() + grace
    told: set[psutil.Process] = set()
    while (alive := processes(layout, service)) and time.monotonic() < deadline:
        for process in set(alive) - told:
            if process.pid not in spare:
                send(process, signal.SIGTERM)
        told |= set(alive)
        time.sleep(_POLL_SECONDS)
    kill(layout, service)


def kill(layout: Layout, service: str | None = None) -> None:
    """SIGKILL until none is left; one that is stuck in the kernel is given up after ten seconds."""
    deadline = time.monotonic() + _KILL_SECONDS
    while (alive := processes(layout, service)) and time.monotonic() < deadline:
        for process in alive:
            send(process, signal.SIGKILL)
        time.sleep(_POLL_SECONDS)


def send(process: psutil.Process, number: signal.Signals) -> None:
    """A signal to a process that may have ended by itself."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended but was not yet waited for does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _belongs(process: psutil.Process, layout: Layout, service: str | None) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        found: str = process.environ().get(MARK, "")
        if found.startswith(mark(layout, service or "")) and service in (
            None,
            found.removeprefix(mark(layout, "")),
        ):
            return True
        # PostgreSQL's backends write their titles over their environment; they run in the data folder.
        return (
            service in (None, "postgres")
            and process.name() == "postgres"
            and process.cwd() == str(layout.cluster)
        )
    except (psutil.Error, OSError):
        return False  # other people's, the kernel's, or ended meanwhile
