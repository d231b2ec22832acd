"""Writes metrics into one MLflow run, each point once."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from mlflow.entities import Metric
from mlflow.tracking import MlflowClient

from stages.tracking.model_writer import find_model
from stages.tracking.records import Metrics, Summary

# Limit of one log_batch request.
_METRICS_PER_BATCH = 1000
_Item = TypeVar("_Item")


@dataclass
class MetricWriter:
    """Writes metrics into the run ``run_id``.

    - Metrics: a curve has one point for each step. Steps that the run already has are skipped, whether a record is sent
      twice or a resumed training repeats steps. (MLflow ignores identical points itself, but takes 1 s for 1000.)
    - Summary: a number is skipped if the newest one at its step is the same, in the run and in the model.
    """

    client: MlflowClient
    experiment_id: str
    run_id: str
    is_new: bool

    def __post_init__(self) -> None:
        self._steps: dict[str, set[int]] = {}

    def send_metrics(self, records: Iterable[Metrics]) -> None:
        """Write the points of curves that the run does not have."""
        new = []
        for name, value, timestamp_ms, step in (point for record in records for point in record.points):
            steps = self._steps_of(name)
            if step not in steps:
                steps.add(step)
                new.append(Metric(name, value, timestamp_ms, step))
        self._log(new)

    def send_summary(self, summary: Summary) -> None:
        """Write final numbers; with a model they become metrics of the model too, except NaN, which MLflow makes 0."""
        points = [(name, value, 0) for name, value in summary.values.items()]
        points += [(name, value, step) for name, value, step in summary.curves]
        stored = self._newest_of_run({name for name, _, step in points if step})
        model = find_model(self.client, self.experiment_id, summary.model) if summary.model else None
        of_model = {} if model is None else {(m.key, m.step): m.value for m in model.metrics or ()}
        new = []
        for name, value, step in points:
            linked = model is not None and not math.isnan(value)
            is_stored = _same(stored.get((name, step)), value)
            if is_stored and (not linked or _same(of_model.get((name, step)), value)):
                continue
            link = {"model_id": model.model_id, **_dataset(summary)} if model is not None and linked else {}
            new.append(Metric(name, value, summary.time_ms, step, **link))
        self._log(new)

    def _newest_of_run(self, names_of_curves: set[str]) -> Mapping[tuple[str, int], float]:
        """Return the newest value of each name and step; steps other than 0 only of ``names_of_curves``."""
        latest = self.client.get_run(self.run_id).data.metrics
        newest = {(name, 0): value for name, value in latest.items()}
        for name in sorted(names_of_curves & latest.keys()):
            newest.pop((name, 0))
            for point in sorted(
                self.client.get_metric_history(self.run_id, name), key=lambda point: point.timestamp
            ):
                newest[name, point.step] = point.value
        return newest

    def _steps_of(self, name: str) -> set[int]:
        if name not in self._steps:
            history = [] if self.is_new else self.client.get_metric_history(self.run_id, name)
            self._steps[name] = {metric.step for metric in history}
        return self._steps[name]

    def _log(self, points: Sequence[Metric]) -> None:
        for batch in batches(points, _METRICS_PER_BATCH):
            self.client.log_batch(self.run_id, metrics=batch)


def _dataset(summary: Summary) -> dict[str, str]:
    if not summary.dataset:
        return {}
    name, digest = summary.dataset
    return {"dataset_name": name, "dataset_digest": digest}


def _same(one: float | None, other: float) -> bool:
    return one is not None and (one == other or (math.isnan(one) and math.isnan(other)))


def batches(items: Sequence[_Item], size: int) -> list[Sequence[_Item]]:
    """Split ``items`` into parts of at most ``size``."""
    return [items[start : start + size] for start in range(0, len(items), size)]
