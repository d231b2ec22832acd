"""Writes records of the outbox into one MLflow run. Writing a record twice has the same effect as once:

- Metrics: a curve has one point for each step. Steps that the run already has are skipped, whether a record is sent
  twice or a resumed training repeats steps. (MLflow ignores identical points itself, but takes 1 s for 1000.)
- Summary: skipped if the newest value is the same. Parameters: skipped if the run has them.
- Tags, artifacts and the status are replaced.
"""

import json
import math
import posixpath
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from stages.tracking.records import Artifact, End, Metrics, Params, Record, RunIdentity, Start, Summary, Tags

KEY_TAG = "lzn.key"
_TABLES_TAG = "mlflow.loggedArtifacts"
# Limits of one log_batch request.
_METRICS_PER_BATCH = 1000
_TAGS_OR_PARAMS_PER_BATCH = 100

Point = tuple[str, float, int, int]
_Item = TypeVar("_Item")


class RunWriter:
    """The run with the identity's key, which is created if it does not exist. Methods raise what the client raises."""

    def __init__(self, client: MlflowClient, identity: RunIdentity, *, artifact_root: Path | None) -> None:
        self._client = client
        self._identity = identity
        self.experiment_id = _find_or_create_experiment(
            client, identity.experiment, artifact_root=artifact_root
        )
        self._run_id: str | None = None
        self._is_new = False
        self._steps: dict[str, set[int]] = {}

    def send(self, group: Sequence[Record], *, files: Path) -> None:
        """Send one record, or several consecutive records of metrics; ``files`` has the copies of artifacts."""
        match group[0]:
            case Metrics():
                self._send_metrics(record for record in group if isinstance(record, Metrics))
            case Start() as start:
                self._start(start)
            case Params(values):
                self._send_params(values)
            case Summary() as summary:
                self._send_summary(summary)
            case Tags(values):
                self._send_tags(values)
            case Artifact() as artifact:
                self._send_artifact(artifact, files=files)
            case End(status, time_ms):
                self._client.set_terminated(self._existing_run(), status=status, end_time=time_ms)

    def _existing_run(self) -> str:
        """Return the run's id. If the run does not exist, because the server lost its database, create it again."""
        if self._run_id is None:
            run = self._find()
            self._run_id = self._create(tags={}, start_time_ms=None) if run is None else run.info.run_id
        return self._run_id

    def _find(self) -> Run | None:
        # The oldest counts: two machines may have created a run each at the same time.
        runs = self._client.search_runs(
            [self.experiment_id],
            filter_string=f"tags.`{KEY_TAG}` = '{self._identity.key}'",
            max_results=1,
            order_by=["attributes.start_time ASC"],
        )
        return runs[0] if runs else None

    def _create(self, *, tags: dict[str, str], start_time_ms: int | None) -> str:
        run = self._client.create_run(
            self.experiment_id,
            start_time=start_time_ms,
            tags={**tags, KEY_TAG: self._identity.key},
            run_name=self._identity.name,
        )
        self._is_new = True
        return str(run.info.run_id)

    def _start(self, start: Start) -> None:
        run = self._find()
        if run is None:
            self._run_id = self._create(tags=start.tags, start_time_ms=start.time_ms)
            if not start.owns_status:  # its training is not tracked here, so nothing else ends it
                self._client.set_terminated(self._run_id, status="FINISHED", end_time=start.time_ms)
            return
        self._run_id = run.info.run_id
        # Tags before status: a RUNNING run whose tags name a dead process counts as abandoned.
        self._send_tags(start.tags)
        if start.owns_status and run.info.status != "RUNNING":
            self._client.update_run(run.info.run_id, status="RUNNING")

    def _send_params(self, values: dict[str, str]) -> None:
        run_id = self._existing_run()
        stored = self._client.get_run(run_id).data.params
        for name, value in values.items():
            if stored.get(name, value) != value:
                print(
                    f"MLflow: parameter {name} is now {value!r}; MLflow keeps the first value {stored[name]!r}",
                    file=sys.stderr,
                )
        new = [Param(name, value) for name, value in values.items() if name not in stored]
        for batch in _batches(new, _TAGS_OR_PARAMS_PER_BATCH):
            self._client.log_batch(run_id, params=batch)

    def _send_tags(self, values: dict[str, str]) -> None:
        tags = [RunTag(name, value) for name, value in values.items()]
        for batch in _batches(tags, _TAGS_OR_PARAMS_PER_BATCH):
            self._client.log_batch(self._existing_run(), tags=batch)

    def _send_summary(self, summary: Summary) -> None:
        stored = self._client.get_run(self._existing_run()).data.metrics
        self._log_points(
            [
                (name, value, summary.time_ms, 0)
                for name, value in summary.values.items()
                if name not in stored or not _same(stored[name], value)
            ]
        )

    def _send_metrics(self, records: Iterable[Metrics]) -> None:
        new = []
        for name, value, timestamp_ms, step in (point for record in records for point in record.points):
            steps = self._steps_of(name)
            if step not in steps:
                steps.add(step)
                new.append((name, value, timestamp_ms, step))
        self._log_points(new)

    def _steps_of(self, name: str) -> set[int]:
        if name not in self._steps:
            run_id = self._existing_run()
            history = [] if self._is_new else self._client.get_metric_history(run_id, name)
            self._steps[name] = {metric.step for metric in history}
        return self._steps[name]

    def _log_points(self, points: Sequence[Point]) -> None:
        for batch in _batches(points, _METRICS_PER_BATCH):
            self._client.log_batch(self._existing_run(), metrics=[Metric(*point) for point in batch])

    def _send_artifact(self, record: Artifact, *, files: Path) -> None:
        if not (files / record.file).exists():
            return  # deleted by hand; an error here would block all later records
        folder = posixpath.dirname(record.artifact) or None
        self._client.log_artifact(self._existing_run(), str(files / record.file), folder)
        if record.is_table:
            self._list_as_table(record.artifact)

    def _list_as_table(self, artifact: str) -> None:
        """Set the tag that MLflow's ``log_table`` sets, so that ``mlflow.load_table`` and the UI find the table."""
        run_id = self._existing_run()
        tables = json.loads(self._client.get_run(run_id).data.tags.get(_TABLES_TAG, "[]"))
        table = {"path": artifact, "type": "table"}
        if table not in tables:
            self._client.set_tag(run_id, _TABLES_TAG, json.dumps([*tables, table]))


def _find_or_create_experiment(client: MlflowClient, name: str, *, artifact_root: Path | None) -> str:
    """Return the experiment's id. A new one stores its artifacts in ``<artifact_root>/<name>``, unless that is None."""
    found = client.get_experiment_by_name(name)
    if found is None:
        location = None if artifact_root is None else str(artifact_root / name)
        try:
            return str(client.create_experiment(name, artifact_location=location))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            found = client.get_experiment_by_name(name)  # another process has just created it
    if found is None or found.lifecycle_stage != "active":
        raise MlflowException(f"experiment {name} is deleted: restore it with `mlflow experiments restore`")
    return str(found.experiment_id)


def _same(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))


def _batches(items: Sequence[_Item], size: int) -> list[Sequence[_Item]]:
    return [items[start : start + size] for start in range(0, len(items), size)]
