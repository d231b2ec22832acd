"""What the supervisor knows of each service, in a file that others read."""

import contextlib
import threading
from typing import Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from infra.stack.layout import Layout, write_private

State = Literal["waiting", "starting", "ready", "failed", "stopped"]


class ServiceStatus(BaseModel):
    """pid: of its first process. starts: how often it was started. failures: in a row, since it was last ready.

    seconds: from its start to ready. message: what went wrong last.
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


class Board:
    """The statuses that the supervisor's threads change; every change is written."""

    def __init__(self, layout: Layout, names: list[str]) -> None:
        self._path = layout.status
        self._lock = threading.Lock()
        self._statuses = {name: ServiceStatus(name=name) for name in names}

    def post(self, name: str, **changes: object) -> ServiceStatus:
        """Change fields of one status."""
        with self._lock:
            status = self._statuses[name].model_copy(update=changes)
            self._statuses[name] = status
            with contextlib.suppress(OSError):  # a full disk must not end the one who restarts what it broke
                write_private(self._path, _Statuses.dump_json(self._statuses, indent=1).decode() + "\n")
        return status

    def __getitem__(self, name: str) -> ServiceStatus:
        return self._statuses[name]


def read_board(layout: Layout) -> dict[str, ServiceStatus]:
    """The statuses as last written; empty before the first."""
    try:
        return _Statuses.validate_json(layout.status.read_bytes())
    except (FileNotFoundError, ValidationError):
        return {}
