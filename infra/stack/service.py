"""The description of a server, worker or step, from which the supervisor runs it."""

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

TAIL_LINES: Final = 15


def no_preparation() -> None:
    """Do nothing before a start."""


@dataclass(frozen=True)
class Service:
    """A process to keep running, or with `one_shot` a step to run until it succeeds.

    is_ready: called after a start until it returns True; it may create what later services need (databases, buckets).
    is_healthy: whether the service works now; it creates nothing.
    prepare: called before each start; may raise StackError.
    needs: services that must be ready before. ports: must be free. user: to run as; None for the current one.
    stop_signal, stop_seconds: the signal that ends it, and the time after which it is killed.
    stops_children_first: stop its child processes, and wait for them, before it gets `stop_signal`.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    cwd: Path
    is_ready: Callable[[], bool]
    is_healthy: Callable[[], bool]
    prepare: Callable[[], None] = no_preparation
    needs: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    user: str | None = None
    one_shot: bool = False
    start_seconds: float = 120.0
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 10.0
    stops_children_first: bool = False


def tail(log: Path) -> str:
    """Return the last lines of a log, indented for a message."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 8192))
            lines = file.read().decode(errors="replace").splitlines()[-TAIL_LINES:]
    except OSError as error:
        return f"    ({log}: {error.strerror})"
    return "\n".join(f"    {line}" for line in lines) or f"    ({log} is empty)"
