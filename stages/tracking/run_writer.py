"""Writes records of the outbox into one MLflow run. Writing a record twice has the same effect as once:

- Metrics and summaries: see `metric_writer`. Parameters: skipped if the run has them.
- Models, and models as inputs and outputs of runs: created if they do not exist, see `model_writer`.
- Tags, artifacts and the status are replaced; MLflow ignores data sets that a run already has.
"""

import json
import posixpath
import sys
from collections.abc import Sequence
from pathlib import Path

from mlflow.entities import Dataset, InputTag, Param, RunTag
from mlflow.entities import DatasetInput as MlflowDatasetInput
from mlflow.tracking import MlflowClient

from stages.tracking import experiments
from stages.tracking.artifact_places import require_own_place
from stages.tracking.experiments import LEVEL_TAG, PARENT_TAG
from stages.tracking.identity import RunIdentity
from stages.tracking.metric_writer import MetricWriter, batches
from stages.tracking.model_writer import send_model, send_used_models
from stages.tracking.records import (
    Artifact,
    Datasets,
    End,
    ExperimentTags,
    Metrics,
    Model,
    Params,
    Record,
    Start,
    Summary,
    Tags,
    UsedModels,
)

_TABLES_TAG = "mlflow.loggedArtifacts"
# Limit of one log_batch request.
_TAGS_OR_PARAMS_PER_BATCH = 100


class RunWriter:
    """The run with the identity's key, which is created if it does not exist. Methods raise what the client raises."""

    def __init__(
        self, client: MlflowClient, identity: RunIdentity, *, artifact_root: Path | None, outbox_root: Path
    ) -> None:
        self._client = client
        self._identity = identity
        self._outbox_root = outbox_root
        self._artifact_root = artifact_root
        self.experiment_id = experiments.find_or_create_experiment(
            client, identity.experiment, artifact_root=artifact_root
        )
        self._run_id: str | None = None
        self._is_new = False
        self._metrics: MetricWriter | None = None

    def send(self, group: Sequence[Record], *, files: Path) -> None:
        """Send one record, or several consecutive records of metrics; ``files`` has the copies of artifacts."""
        match group[0]:
            case Metrics():
                self._metric_writer().send_metrics(record for record in group if isinstance(record, Metrics))
            case Start() as start:
                self._start(start)
            case Params(values):
                self._send_params(values)
            case Summary() as summary:
                self._metric_writer().send_summary(summary)
            case Tags(values):
                self._send_tags(values)
            case Artifact() as artifact:
                self._send_artifact(artifact, files=files)
            case Datasets(datasets):
                self._client.log_inputs(self._existing_run(), [_dataset_input(one) for one in datasets])
            case Model() as model:
                send_model(
                    self._client,
                    self.experiment_id,
                    model,
                    run_id=self._existing_run(),
                    files=files,
                    outbox_root=self._outbox_root,
                    artifact_root=self._artifact_root,
                )
            case UsedModels(keys):
                send_used_models(self._client, self.experiment_id, keys, run_id=self._existing_run())
            case ExperimentTags(values):
                experiments.set_experiment_tags(self._client, self.experiment_id, values)
            case End(status, time_ms):
                self._client.set_terminated(self._existing_run(), status=status, end_time=time_ms)

    def _existing_run(self) -> str:
        """Return the run's id. If the run does not exist, because the server lost its database, create it again."""
        if self._run_id is None:
            self._run_id = self._find() or self._create(tags={}, start_time_ms=None)
        return self._run_id

    def _find(self) -> str | None:
        # The oldest counts: two machines may have created a run each at the same time.
        runs = experiments.runs_with_key(self._client, self.experiment_id, self._identity.key)
        return runs[0].info.run_id if runs else None

    def _create(self, *, tags: dict[str, str], start_time_ms: int | None) -> str:
        self._is_new = True
        return experiments.create_run(
            self._client,
            self.experiment_id,
            self._identity,
            tags={**tags, **self._parent_tags()},
            start_time_ms=start_time_ms,
        )

    def _parent_tags(self) -> dict[str, str]:
        """Return the tags of a child, after creating its parent if there is none."""
        if self._identity.parent is None:
            return {}
        parent = experiments.find_or_create_parent(
            self._client, self.experiment_id, self._identity.parent, outbox_root=self._outbox_root
        )
        return {PARENT_TAG: parent, LEVEL_TAG: "seed"}

    def _start(self, start: Start) -> None:
        self._run_id = self._find()
        if self._run_id is None:
            self._run_id = self._create(tags=start.tags, start_time_ms=start.time_ms)
            if not start.owns_status:  # its training is not tracked here, so nothing else ends it
                self._client.set_terminated(self._run_id, status="FINISHED", end_time=start.time_ms)
            return
        # Tags before status: a RUNNING run whose tags name a dead process counts as abandoned.
        self._send_tags({**start.tags, **self._parent_tags()})
        if start.owns_status and self._client.get_run(self._run_id).info.status != "RUNNING":
            self._client.update_run(self._run_id, status="RUNNING")

    def _metric_writer(self) -> MetricWriter:
        if self._metrics is None:
            run_id = self._existing_run()
            self._metrics = MetricWriter(self._client, self.experiment_id, run_id, is_new=self._is_new)
        return self._metrics

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
        for batch in batches(new, _TAGS_OR_PARAMS_PER_BATCH):
            self._client.log_batch(run_id, params=batch)

    def _send_tags(self, values: dict[str, str]) -> None:
        tags = [RunTag(name, value) for name, value in values.items()]
        for batch in batches(tags, _TAGS_OR_PARAMS_PER_BATCH):
            self._client.log_batch(self._existing_run(), tags=batch)

    def _send_artifact(self, record: Artifact, *, files: Path) -> None:
        if not (files / record.file).exists():
            return  # deleted by hand; an error here would block all later records
        folder = posixpath.dirname(record.artifact) or None
        place = self._client.get_run(self._existing_run()).info.artifact_uri
        require_own_place(place, artifact_root=self._artifact_root)
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


def _dataset_input(values: dict[str, str]) -> MlflowDatasetInput:
    source = json.dumps({"uri": values["source"]})
    dataset = Dataset(values["name"], values["digest"], "local", source, profile=values["profile"])
    return MlflowDatasetInput(dataset, [InputTag("mlflow.data.context", values["context"])])
