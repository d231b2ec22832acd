"""The supervisor's status of each service, in a file that other processes read."""

import contextlib
import threading
from typing import Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from infra.stack.layout import Layout, write_private

State = Literal["waiting", "starting", "ready", "failed", "stopped"]


class ServiceStatus(BaseModel):
    """The status of one service.

    pid: its first process. starts: number of starts. failures: consecutive failures since it was last ready.
    seconds: from its start until ready. message: the last error.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    state: State = "waiting"
    pid: int | None = None
    starts: int = 0
    failures: int = 0
    seconds: float | None = None
    message: str = ""


_Statuses = TypeAdapter(dict[str, ServiceStatus])


class StatusFile:
    """The statuses of all services; threads may update it, and every update is written."""

    def __init__(self, layout: Layout, names: list[str]) -> None:
        self._path = layout.status
        self._lock = threading.Lock()
        self._statuses = {name: ServiceStatus(name=name) for name in names}

    def update(self, name: str, **changes: object) -> ServiceStatus:
        """Change fields of one status."""
        with self._lock:
            status = self._statuses[name].model_copy(update=changes)
            self._statuses[name] = status
            with contextlib.suppress(OSError):  # a full disk must not end the thread that restarts services
                write_private(self._path, _Statuses.dump_json(self._statuses, indent=1).decode() + "\n")
        return status

    def __getitem__(self, name: str) -> ServiceStatus:
        return self._statuses[name]


def read_statuses(layout: Layout) -> dict[str, ServiceStatus]:
    """Read the statuses by service. Return an empty mapping if none were written."""
    try:
        return _Statuses.validate_json(layout.status.read_bytes())
    except (FileNotFoundError, ValidationError):
        return {}
