"""Creates LoggedModels in MLflow once, and stores their files."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock
from mlflow.entities import LoggedModel, LoggedModelInput, LoggedModelOutput, LoggedModelStatus
from mlflow.models import Model as MlflowModel
from mlflow.tracking import MlflowClient

from lzn.base.files import write_text
from stages.tracking.artifact_places import require_own_place
from stages.tracking.experiments import KEY_TAG
from stages.tracking.records import Model

EXTERNAL_TAG = "mlflow.model.isExternal"
"""Tag of a model whose files are not in MLflow; its tags ``weights.path`` and ``weights.sha256`` name them."""
MODEL_TYPE = "latent zoning network"
_MODEL_IDS = "models.json"
_TIMEOUT = "MLFLOW_HTTP_REQUEST_TIMEOUT"
_STORED_TAG = "lzn.stored"
# Seconds that the server may need to store a file of a model.
_UPLOAD_TIMEOUT_S = 120


def find_model(client: MlflowClient, experiment_id: str, key: str) -> LoggedModel | None:
    """Return the oldest model of the experiment with this key, with its metrics; None if there is none."""
    found = client.search_logged_models(
        [experiment_id],
        filter_string=f"tags.`{KEY_TAG}` = '{key}'",
        order_by=[{"field_name": "creation_timestamp", "ascending": True}],
    )
    return found[0] if found else None


def find_or_create_model(
    client: MlflowClient, experiment_id: str, record: Model, *, run_id: str | None
) -> LoggedModel:
    """Return the model with the record's key; a new one has the run as its source."""
    found = find_model(client, experiment_id, record.key)
    if found is not None:
        return found
    return client.create_logged_model(
        experiment_id,
        name=record.model_name,
        source_run_id=run_id,
        tags={**record.tags, KEY_TAG: record.key},
        params=record.params,
        model_type=MODEL_TYPE,
    )


def has_files(client: MlflowClient, model: LoggedModel) -> bool:
    """Return whether the files of the model are complete in MLflow."""
    tags = client.get_logged_model(model.model_id).tags
    return tags.get(_STORED_TAG) == "true"


def upload_model(
    client: MlflowClient, model: LoggedModel, folder: Path, *, artifact_root: Path | None
) -> None:
    """Store a folder that MLflow's ``save_model`` wrote as the files of the model, with the model's ids.

    Raises:
        MlflowException: see `require_own_place`.
    """
    require_own_place(model.artifact_location, artifact_root=artifact_root)
    description = MlflowModel.load(str(folder))
    description.model_id = model.model_id
    description.model_uuid = model.model_id
    description.run_id = model.source_run_id
    description.artifact_path = model.artifact_location
    description.save(str(folder / "MLmodel"))
    with _longer_timeout():
        client.log_model_artifacts(model.model_id, str(folder))
    client.set_logged_model_tags(model.model_id, {_STORED_TAG: "true"})
    if EXTERNAL_TAG in client.get_logged_model(model.model_id).tags:
        client.delete_logged_model_tag(model.model_id, EXTERNAL_TAG)


@contextmanager
def _longer_timeout() -> Iterator[None]:
    """Let requests take longer inside the block; MLflow reads the environment variable at each request."""
    before = os.environ.get(_TIMEOUT, "")
    os.environ[_TIMEOUT] = str(max(int(before or 0), _UPLOAD_TIMEOUT_S))
    try:
        yield
    finally:
        os.environ[_TIMEOUT] = before
        if not before:
            del os.environ[_TIMEOUT]


def send_model(
    client: MlflowClient,
    experiment_id: str,
    record: Model,
    *,
    run_id: str,
    files: Path,
    outbox_root: Path,
    artifact_root: Path | None,
) -> None:
    """Make the record's model an output of the run, with its files if the record has any.

    Also note the model's id in ``models.json`` of the outbox, which ``lzn runs --json`` reads.
    """
    model = find_or_create_model(client, experiment_id, record, run_id=run_id)
    if record.file and (files / record.file).exists() and not has_files(client, model):
        upload_model(client, model, files / record.file, artifact_root=artifact_root)
    if model.status != LoggedModelStatus.READY:
        client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
    outputs = client.get_run(run_id).outputs
    known = {output.model_id for output in outputs.model_outputs} if outputs is not None else set()
    if model.model_id not in known:
        client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=record.step)])
    note_model_id(outbox_root, key=record.key, model_id=model.model_id)


def send_used_models(client: MlflowClient, experiment_id: str, keys: list[str], *, run_id: str) -> None:
    """Make the models with these keys inputs of the run; keys without a model are left out."""
    inputs = client.get_run(run_id).inputs
    known = {one.model_id for one in inputs.model_inputs} if inputs is not None else set()
    found = [find_model(client, experiment_id, key) for key in keys]
    new = [LoggedModelInput(model.model_id) for model in found if model is not None]
    new = [one for one in new if one.model_id not in known]
    if new:
        client.log_inputs(run_id, models=new)


def note_model_id(outbox_root: Path, *, key: str, model_id: str) -> None:
    """Write the id of the model with this key to ``models.json``."""
    outbox_root.mkdir(parents=True, exist_ok=True)
    file = outbox_root / _MODEL_IDS
    with FileLock(file.with_suffix(".lock"), mode=0o666):
        known: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
        if known.get(key) == model_id:
            return
        write_text(file, json.dumps({**known, key: model_id}, indent=1, sort_keys=True))
