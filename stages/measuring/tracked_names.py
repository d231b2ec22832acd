"""The numbers of a stage as MLflow shows them: names with ``/`` make sections of charts, real steps make curves.

A number ``fd_digits`` of the stage ``measure`` is ``measure/fd_digits``. A series of numbers is one curve:

    steps     distance.<name>.<n>          steps/<name>, step: Euler steps
    probe     along_training.<n>.<name>    probe_along_training/<name>, step: training steps
    settings  accuracy.<n>.<alpha>         settings/accuracy_alpha_<alpha>, step: batch size
    tsne      classes.<n>.<name>           not a metric: the table ``tables/tsne.json``
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_CURVES = (
    ("steps", re.compile(r"distance\.(?P<name>.+)\.(?P<step>\d+)"), "steps/{name}"),
    ("probe", re.compile(r"along_training\.(?P<step>\d+)\.(?P<name>.+)"), "probe_along_training/{name}"),
    ("settings", re.compile(r"accuracy\.(?P<step>\d+)\.(?P<name>.+)"), "settings/accuracy_alpha_{name}"),
)
_CLASS_OF_TSNE = re.compile(r"classes\.(?P<label>[^.]+)\.(?P<name>.+)")
TABLE = "tables/tsne.json"
OF_SNAPSHOTS = "probe_along_training/"
"""How the names of curves begin whose points measure the snapshot at their step, not the trained model."""
SPLITS = {"measure": "train", "steps": "train", "zones": "train"}
"""The split on which a stage measures; other stages measure on test images."""


@dataclass(frozen=True)
class TrackedNumbers:
    """Numbers for MLflow.

    Attributes:
        values: numbers by name.
        curves: points of curves: name, value, step.
        table: columns of a table; empty for most stages.
    """

    values: dict[str, float] = field(default_factory=dict)
    curves: list[tuple[str, float, int]] = field(default_factory=list)
    table: dict[str, list[str | float]] = field(default_factory=dict)


def tracked_numbers(stage: str, flat: Mapping[str, float], *, suffix: str = "") -> TrackedNumbers:
    """Return a stage's numbers, which are given by dotted names; ``suffix`` is added to each name."""
    tracked = TrackedNumbers()
    rows: dict[str, dict[str, float]] = {}
    for path, value in flat.items():
        if stage == "tsne" and (of_class := _CLASS_OF_TSNE.fullmatch(path)):
            rows.setdefault(of_class["label"], {})[of_class["name"]] = value
        elif point := _point(stage, path):
            name, step = point
            tracked.curves.append((f"{name}{suffix}", value, step))
        else:
            tracked.values[f"{stage}/{path}{suffix}"] = value
    if rows:
        tracked.table.update(_columns(rows))
    return tracked


def _point(stage: str, path: str) -> tuple[str, int] | None:
    """Return the name and step of a point of a curve; None for other numbers."""
    for of_stage, pattern, name in _CURVES:
        if stage == of_stage and (found := pattern.fullmatch(path)):
            return name.format(name=found["name"]), int(found["step"])
    return None


def _columns(rows: Mapping[str, Mapping[str, float]]) -> dict[str, list[str | float]]:
    names: Sequence[str] = list(next(iter(rows.values())))
    columns: dict[str, list[str | float]] = {"class": list(rows)}
    for name in names:
        columns[name] = [row[name] for row in rows.values()]
    return columns
