"""Records of what a stage logs to a run; they are stored on disk until the server has accepted them.

Sending a record twice has the same effect as sending it once (see ``run_writer``). So a record may be sent again that
was still in the outbox when the process died.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from stages.tracking.identity import RunIdentity

Scalar = str | int | float | bool | None


@dataclass(frozen=True)
class MetricRow:
    """The values of one training step; ``timestamp_ms`` is milliseconds since the epoch (UTC)."""

    step: int
    timestamp_ms: int
    values: Mapping[str, float]


@dataclass(frozen=True)
class DatasetInput:
    """A split of a data set that a run reads.

    Attributes:
        name: name for people (``digits train``); MLflow shows a name once for each run.
        digest: hash of the data, at most 36 characters.
        source: where the data are.
        profile: JSON with facts such as the number of images.
        context: what the run does with it: ``train`` or ``test``.
    """

    name: str
    digest: str
    source: str
    profile: str
    context: str


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
    """Points of curves, each [name, value, timestamp_ms, step]; the first value at a step is kept."""

    kind: ClassVar[str] = "metrics"
    points: list[tuple[str, float, int, int]]


@dataclass(frozen=True)
class Summary:
    """Final numbers; the newest value of a name and step is valid.

    Attributes:
        values: numbers at step 0.
        time_ms: when they were logged.
        curves: numbers at other steps, each [name, value, step].
        model: key of the model that the numbers measure, or empty.
        dataset: name and digest of the data set on which they are measured, or empty.
    """

    kind: ClassVar[str] = "summary"
    values: dict[str, float]
    time_ms: int
    curves: list[tuple[str, float, int]] = field(default_factory=list)
    model: str = ""
    dataset: list[str] = field(default_factory=list)


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
class Datasets:
    """Data sets that the run reads, each the fields of `DatasetInput`."""

    kind: ClassVar[str] = "datasets"
    datasets: list[dict[str, str]]


@dataclass(frozen=True)
class Model:
    """A LoggedModel that the run has made.

    Attributes:
        key: by which later records and ``lzn register`` find the model.
        model_name: name for people (``rf_lzn-seed-0``).
        step: finished training steps.
        file: folder of the outbox in MLflow's format; empty for a model that is only referred to by its tags.
        tags: tags of the model.
        params: parameters of the model.
    """

    kind: ClassVar[str] = "model"
    key: str
    model_name: str
    step: int
    file: str
    tags: dict[str, str]
    params: dict[str, str]


@dataclass(frozen=True)
class UsedModels:
    """Keys of models that the run reads; keys without a model are left out."""

    kind: ClassVar[str] = "used_models"
    keys: list[str]


@dataclass(frozen=True)
class ExperimentTags:
    """Tags of the experiment to set or replace."""

    kind: ClassVar[str] = "experiment_tags"
    values: dict[str, str]


@dataclass(frozen=True)
class End:
    """The run's final status, one of FINISHED, KILLED, FAILED."""

    kind: ClassVar[str] = "end"
    status: str
    time_ms: int


Record = (
    Start
    | Params
    | Metrics
    | Summary
    | Tags
    | Artifact
    | Datasets
    | Model
    | UsedModels
    | ExperimentTags
    | End
)
_KINDS: dict[str, type[Record]] = {
    kind.kind: kind
    for kind in (
        Start,
        Params,
        Metrics,
        Summary,
        Tags,
        Artifact,
        Datasets,
        Model,
        UsedModels,
        ExperimentTags,
        End,
    )
}


def file_of(record: Record) -> str:
    """Return the file or folder of the outbox that the record names; empty if there is none."""
    return record.file if isinstance(record, Artifact | Model) else ""


def to_line(identity: RunIdentity, record: Record) -> str:
    """Return the record as one line of JSON, with NaN and Infinity as Python writes them, without a line break."""
    parent = identity.parent
    content = {
        "experiment": identity.experiment,
        "name": identity.name,
        **({} if parent is None else {"parent": {"name": parent.name, "key": parent.key}}),
        "kind": record.kind,
        **asdict(record),
    }
    return json.dumps(content, separators=(",", ":"))


def from_line(line: str, *, key: str) -> tuple[RunIdentity, Record]:
    """Read a line of ``to_line``. Raises ValueError if it is incomplete, as after a power failure."""
    try:
        content: dict[str, Any] = json.loads(line)
        experiment = content.pop("experiment")
        parent = content.pop("parent", None)
        identity = RunIdentity(
            experiment,
            content.pop("name"),
            key,
            parent=None if parent is None else RunIdentity(experiment, parent["name"], parent["key"]),
        )
        record = _KINDS[content.pop("kind")](**content)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"not a record of the outbox: {line[:80]!r}") from error
    return identity, record
