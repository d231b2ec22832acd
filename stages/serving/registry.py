"""Registration of a trained seed in MLflow, so that `mlflow models serve` finds it by an alias."""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lzn.base.files import file_sha256
from lzn.inference.errors import UserError
from lzn.inference.loaded_run import LoadedRun
from lzn.runs.trained import WEIGHTS
from stages.serving.saved_model import save_seed
from stages.tracking import send_leftovers
from stages.tracking.environment import set_client_defaults, tracking_uri
from stages.tracking.records import Model
from stages.tracking.seed_identity import experiment_of, model_key, model_name

MAIN_METRICS = ("classify/accuracy", "measure/fid", "measure/fd_", "measure/reconstruction", "probe/trained.")
"""How the names of metrics begin that are compared with the present model of the alias."""

_MODELS = "models:/"  # how the source of a version begins; MLflow does not store the model's id elsewhere


@dataclass(frozen=True)
class Registered:
    """A version in the registry.

    Attributes:
        name: the model's name in the registry.
        version: the number of the version.
        model_id: MLflow's id of the model that the training made.
        compared: the metrics of the version that had the alias and of this one, in text.
    """

    name: str
    version: str
    model_id: str
    compared: str


def register_seed(run: LoadedRun, seed_folder: Path, *, alias: str, outbox: Path) -> Registered:
    """Make the model of the seed's training a version of ``lzn-<size>-<run>``, and give this version the alias.

    The model keeps its lineage: the run that trained it and its metrics. Its files are stored now if they were not. A
    seed whose training is not in this MLflow gets a model without such a run.

    Raises:
        UserError: MLflow is unavailable or refuses, or a file of the run is missing.
    """
    # Weights can have hundreds of megabytes, so their upload needs a longer timeout than that of stages.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "600")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    set_client_defaults()
    from stages.tracking.model_writer import note_model_id  # noqa: PLC0415 - imports MLflow
    from stages.tracking.server import FAILURES, printable, reason  # noqa: PLC0415

    name, uri = f"lzn-{run.facts.size}-{run.facts.name}", tracking_uri()
    send_leftovers(outbox)  # the record of the model may still be there
    try:
        registered = _register(run, seed_folder, name=name, alias=alias, uri=uri)
        note_model_id(outbox, key=model_key(run.trained.configuration), model_id=registered.model_id)
    except FAILURES as error:
        raise UserError(
            f"{name} cannot be registered at {printable(uri)}: {reason(error, uri=uri)}"
        ) from error
    return registered


def _register(run: LoadedRun, seed_folder: Path, *, name: str, alias: str, uri: str) -> Registered:
    import mlflow  # noqa: PLC0415 - it reads the environment, and takes seconds

    from stages.tracking import server  # noqa: PLC0415

    mlflow.set_tracking_uri(uri)  # the registry in a database reads the model through it
    client = server.connect(uri)
    model = _model_with_files(client, run, seed_folder, artifact_root=server.artifact_root(uri))
    before = _version_with_alias(client, name, alias)
    version = _version_of(client, name, model)
    client.set_registered_model_alias(name, alias, version)
    compared = _compare(client, model, before, alias=alias, version=version)
    return Registered(name, version, model.model_id, compared)


def _model_with_files(client: Any, run: LoadedRun, seed_folder: Path, *, artifact_root: Path | None) -> Any:
    """Return the LoggedModel of the seed, with its files."""
    from mlflow.entities import LoggedModelStatus  # noqa: PLC0415

    from stages.tracking.experiments import find_or_create_experiment  # noqa: PLC0415
    from stages.tracking.model_writer import (  # noqa: PLC0415
        find_or_create_model,
        has_files,
        upload_model,
    )

    configuration = run.trained.configuration
    weights = seed_folder / WEIGHTS
    tags = {"weights.path": weights.as_posix(), "weights.sha256": file_sha256(weights)}
    record = Model(model_key(configuration), model_name(configuration), step=0, file="", tags=tags, params={})
    experiment_id = find_or_create_experiment(
        client, experiment_of(configuration.size), artifact_root=artifact_root
    )
    model = find_or_create_model(client, experiment_id, record, run_id=None)
    if not has_files(client, model):
        with tempfile.TemporaryDirectory() as parent:
            save_seed(run, seed_folder, Path(parent) / "model")
            upload_model(client, model, Path(parent) / "model", artifact_root=artifact_root)
    if model.status != LoggedModelStatus.READY:
        client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
    return model


def _version_of(client: Any, name: str, model: Any) -> str:
    """Return the number of the version of the registered model that is ``model``; create what does not exist."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    for version in client.search_model_versions(f"name = '{name}'"):
        if version.source == f"{_MODELS}{model.model_id}":
            return str(version.version)
    created = client.create_model_version(
        name, f"{_MODELS}{model.model_id}", run_id=model.source_run_id, model_id=model.model_id
    )
    return str(created.version)


def _version_with_alias(client: Any, name: str, alias: str) -> Any:
    """Return the present version with the alias; None if there is none."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415

    try:
        return client.get_model_version_by_alias(name, alias)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        return None


def _compare(client: Any, model: Any, before: Any, *, alias: str, version: str) -> str:
    if before is None:
        return f"there was no {alias} to compare with"
    if str(before.version) == version:
        return f"version {version} was the {alias} already"
    before_id = before.source.removeprefix(_MODELS)
    old = _main_metrics(client.get_logged_model(before_id)) if before_id.startswith("m-") else {}
    new = _main_metrics(client.get_logged_model(model.model_id))
    shared = sorted(old.keys() & new.keys())
    numbers = ", ".join(f"{name} {old[name]:.4g} → {new[name]:.4g}" for name in shared)
    return f"compared with version {before.version}: {numbers or 'no metric is in both models'}"


def _main_metrics(model: Any) -> Mapping[str, float]:
    metrics = sorted(model.metrics or (), key=lambda metric: metric.timestamp)
    return {metric.key: metric.value for metric in metrics if metric.key.startswith(MAIN_METRICS)}
