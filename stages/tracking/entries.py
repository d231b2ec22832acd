"""What is said about a run, as records that can wait on disk until the tracking server takes them.

Every record is idempotent at the server (see ``run_writer``): one that was sent, but not yet struck from the
outbox when the process died, may be sent again.
"""

import json
import posixpath
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

Scalar = str | int | float | bool | None

_KEY = re.compile(r"[0-9a-f]{8,128}")
_EXPERIMENT = re.compile(r"[\w][\w.-]*")
_LOGGED_NAME = re.compile(r"[/\w.\- :]+")


@dataclass(frozen=True)
class RunIdentity:
    """Which MLflow run is meant.

    experiment: MLflow experiment, one for each size (``lzn-digits``).
    name: the run's readable name (``rf_lzn``).
    key: lower-case hexadecimal hash of configuration, code and data; all stages find the run again by it.

    Raises ValueError when the experiment or the key could not serve as a folder's name, or the name is empty.
    """

    experiment: str
    name: str
    key: str

    def __post_init__(self) -> None:
        if not _EXPERIMENT.fullmatch(self.experiment):
            raise ValueError(
                f"experiment is made of letters, digits, '.', '_' and '-', got {self.experiment!r}"
            )
        if not self.name.strip():
            raise ValueError("name must not be empty: it is the run's name in MLflow")
        if not _KEY.fullmatch(self.key):
            raise ValueError(f"key is a lower-case hexadecimal hash of 8 digits or more, got {self.key!r}")


@dataclass(frozen=True)
class MetricRow:
    """The values of one training step; ``timestamp_ms`` is milliseconds since the epoch (UTC)."""

    step: int
    timestamp_ms: int
    values: Mapping[str, float]


@dataclass(frozen=True)
class Start:
    """A stage began to write to the run; ``owns_status`` for the stage whose fate is the run's (training)."""

    kind: ClassVar[str] = "start"
    time_ms: int
    tags: dict[str, str]
    owns_status: bool


@dataclass(frozen=True)
class Params:
    """Parameters, as MLflow shows them."""

    kind: ClassVar[str] = "params"
    values: dict[str, str]


@dataclass(frozen=True)
class Metrics:
    """Points of curves, each [name, value, timestamp_ms, step]."""

    kind: ClassVar[str] = "metrics"
    points: list[tuple[str, float, int, int]]


@dataclass(frozen=True)
class Summary:
    """Final numbers, written at step 0; the newest counts."""

    kind: ClassVar[str] = "summary"
    values: dict[str, float]
    time_ms: int


@dataclass(frozen=True)
class Tags:
    """Tags to set or replace."""

    kind: ClassVar[str] = "tags"
    values: dict[str, str]


@dataclass(frozen=True)
class Artifact:
    """A file kept in the outbox under ``file``, to be stored as ``artifact``."""

    kind: ClassVar[str] = "artifact"
    file: str
    artifact: str
    is_table: bool


@dataclass(frozen=True)
class End:
    """The run's final status, one of FINISHED, KILLED, FAILED."""

    kind: ClassVar[str] = "end"
    status: str
    time_ms: int


Entry = Start | Params | Metrics | Summary | Tags | Artifact | End
_KINDS: dict[str, type[Entry]] = {
    kind.kind: kind for kind in (Start, Params, Metrics, Summary, Tags, Artifact, End)
}


def to_line(identity: RunIdentity, entry: Entry) -> str:
    """One line of JSON (with NaN and Infinity as Python writes them), without the line's end."""
    record = {"experiment": identity.experiment, "name": identity.name, "kind": entry.kind, **asdict(entry)}
    return json.dumps(record, separators=(",", ":"))


def from_line(line: str, *, key: str) -> tuple[RunIdentity, Entry]:
    """Inverse of ``to_line``. Raises ValueError for a line that is not whole: a power cut can leave one."""
    try:
        record: dict[str, Any] = json.loads(line)
        identity = RunIdentity(experiment=record.pop("experiment"), name=record.pop("name"), key=key)
        entry = _KINDS[record.pop("kind")](**record)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"not a record of the outbox: {line[:80]!r}") from error
    return identity, entry


def check_names(names: Mapping[str, object]) -> None:
    """Raises ValueError for a parameter, metric or tag name that MLflow would refuse."""
    for name in names:
        if not _LOGGED_NAME.fullmatch(name) or not _is_plain_path(name):
            raise ValueError(
                f"a name is made of letters, digits and '_', '-', '.', ' ', ':', '/', got {name!r}"
            )


def check_artifact(artifact: str) -> None:
    """Raises ValueError unless ``artifact`` is a relative path with '/' inside the run's folder."""
    if not artifact or "\\" in artifact or not _is_plain_path(artifact):
        raise ValueError(f"an artifact is named by a relative path like 'samples/grid.png', got {artifact!r}")


def _is_plain_path(path: str) -> bool:
    return posixpath.normpath(path) == path and not path.startswith(("/", "../")) and path not in (".", "..")
