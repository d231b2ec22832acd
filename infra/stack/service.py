"""What the supervisor needs to know of a server, worker or step."""

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

TAIL_LINES: Final = 15


def nothing() -> None:
    """A service that needs no preparation."""


@dataclass(frozen=True)
class Service:
    """One process to keep running, or with `once` one step to bring to its end.

    prepare: before each start; may raise StackError. ready: whether it serves; called until it says so, and allowed to
    make what the next services need (databases, buckets). answers: whether it serves now, without making anything.
    needs: services that are ready before. ports: must be free. user: to run as, None for this one.
    stop_signal and stop_seconds: how to end it, and for how long it may then run.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    cwd: Path
    ready: Callable[[], bool]
    answers: Callable[[], bool]
    prepare: Callable[[], None] = nothing
    needs: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    user: str | None = None
    once: bool = False
    start_seconds: float = 120.0
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 10.0
    children_save: bool = False


def tail(log: Path) -> str:
    """The last lines of a log, indented for a message."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 8192))
            lines = file.read().decode(errors="replace").splitlines()[-TAIL_LINES:]
    except OSError as error:
        return f"    ({log}: {error.strerror})"
    return "\n".join(f"    {line}" for line in lines) or f"    ({log} is empty)"
