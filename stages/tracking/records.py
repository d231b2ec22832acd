"""Records of what a stage logs to a run; they are stored on disk until the server has accepted them.

Sending a record twice has the same effect as sending it once (see ``run_writer``). So a record may be sent again that
was still in the outbox when the process died.
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
    """The names that identify an MLflow run.

    Attributes:
        experiment: MLflow experiment, one for each size (``lzn-digits``).
        name: the run's name for people (``rf_lzn, seed 0``).
        key: lower-case hexadecimal hash of configuration, code and data, by which all stages find the run.

    Raises:
        ValueError: the experiment or the key is not usable as the name of a folder, or the name is empty.
    """

    experiment: str
    name: str
    key: str

    def __post_init__(self) -> None:
        if not _EXPERIMENT.fullmatch(self.experiment):
            raise ValueError(
                f"experiment must consist of letters, digits, '.', '_' and '-', got {self.experiment!r}"
            )
        if not self.name.strip():
            raise ValueError("name must not be empty: MLflow shows it")
        if not _KEY.fullmatch(self.key):
            raise ValueError(
                f"key must be a lower-case hexadecimal hash of 8 to 128 digits, got {self.key!r}"
            )


@dataclass(frozen=True)
class MetricRow:
    """The values of one training step; ``timestamp_ms`` is milliseconds since the epoch (UTC)."""

    step: int
    timestamp_ms: int
    values: Mapping[str, float]


@dataclass(frozen=True)
class Start:
    """A stage starts to write to the run; ``owns_status``: the run's status is that of this stage (training)."""

    kind: ClassVar[str] = "start"
    time_ms: int
    tags: dict[str, str]
    owns_status: bool


@dataclass(frozen=True)
class Params:
    """Parameters as text."""

    kind: ClassVar[str] = "params"
    values: dict[str, str]


@dataclass(frozen=True)
class Metrics:
    """Points of curves, each [name, value, timestamp_ms, step]."""

    kind: ClassVar[str] = "metrics"
    points: list[tuple[str, float, int, int]]


@dataclass(frozen=True)
class Summary:
    """Final numbers, written at step 0; the newest value is valid."""

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
    """A file of the outbox, ``file``, that is stored in the run as ``artifact``."""

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


Record = Start | Params | Metrics | Summary | Tags | Artifact | End
_KINDS: dict[str, type[Record]] = {
    kind.kind: kind for kind in (Start, Params, Metrics, Summary, Tags, Artifact, End)
}


def to_line(identity: RunIdentity, record: Record) -> str:
    """Return the record as one line of JSON, with NaN and Infinity as Python writes them, without a line break."""
    content = {
        "experiment": identity.experiment,
        "name": identity.name,
        "kind": record.kind,
        **asdict(record),
    }
    return json.dumps(content, separators=(",", ":"))


def from_line(line: str, *, key: str) -> tuple[RunIdentity, Record]:
    """Read a line of ``to_line``. Raises ValueError if it is incomplete, as after a power failure."""
    try:
        content: dict[str, Any] = json.loads(line)
        identity = RunIdentity(experiment=content.pop("experiment"), name=content.pop("name"), key=key)
        record = _KINDS[content.pop("kind")](**content)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"not a record of the outbox: {line[:80]!r}") from error
    return identity, record


def check_names(names: Mapping[str, object]) -> None:
    """Raise ValueError for a parameter, metric or tag name that MLflow refuses."""
    for name in names:
        if not _LOGGED_NAME.fullmatch(name) or not _is_plain_path(name):
            raise ValueError(
                f"a name must consist of letters, digits and '_', '-', '.', ' ', ':', '/', got {name!r}"
            )


def check_artifact(artifact: str) -> None:
    """Raise ValueError unless ``artifact`` is a relative path with '/' inside the run's folder."""
    if not artifact or "\\" in artifact or not _is_plain_path(artifact):
        raise ValueError(f"an artifact must be a relative path such as 'samples/grid.png', got {artifact!r}")


def _is_plain_path(path: str) -> bool:
    return posixpath.normpath(path) == path and not path.startswith(("/", "../")) and path not in (".", "..")
