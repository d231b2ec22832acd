"""Finds experiments and runs in MLflow by their names and keys, and creates missing ones once."""

from collections.abc import Mapping
from pathlib import Path

from filelock import FileLock
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from stages.tracking.identity import RunIdentity

KEY_TAG = "lzn.key"
PARENT_TAG = "mlflow.parentRunId"
LEVEL_TAG = "level"
"""Tag of a run: ``family`` for the parent of the seeds of a run, ``seed`` for a child."""

_EXPERIMENT_TAGS = {
    "mlflow.experimentKind": "custom_model_development",  # the page shows trainings, not traces of language models
    "mlflow.note.content": (
        "Trainings of the [Latent Zoning Network](https://arxiv.org/abs/2509.15591) at one size. Each row is a run of "
        "params.yaml with means over its seeds; below it are its seeds. The run `results` has the verdict on each "
        "claim of the paper."
    ),
}
# How long to wait for another process that creates the parent of the same runs.
_LOCK_TIMEOUT_S = 60.0


def find_or_create_experiment(client: MlflowClient, name: str, *, artifact_root: Path | None) -> str:
    """Return the experiment's id. A new one stores its artifacts in ``<artifact_root>/<name>``, unless that is None."""
    found = client.get_experiment_by_name(name)
    if found is None:
        location = None if artifact_root is None else str(artifact_root / name)
        try:
            return str(client.create_experiment(name, artifact_location=location, tags=_EXPERIMENT_TAGS))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            found = client.get_experiment_by_name(name)  # another process has just created it
    if found is None or found.lifecycle_stage != "active":
        raise MlflowException(f"experiment {name} is deleted: restore it with `mlflow experiments restore`")
    return str(found.experiment_id)


def set_experiment_tags(client: MlflowClient, experiment_id: str, tags: Mapping[str, str]) -> None:
    """Set tags of an experiment that have another value now."""
    stored = client.get_experiment(experiment_id).tags
    for name, value in tags.items():
        if stored.get(name) != value:
            client.set_experiment_tag(experiment_id, name, value)


def runs_with_key(client: MlflowClient, experiment_id: str, key: str) -> list[Run]:
    """Return the active runs with this key, oldest first."""
    found = client.search_runs(
        [experiment_id], filter_string=f"tags.`{KEY_TAG}` = '{key}'", order_by=["attributes.start_time ASC"]
    )
    return sorted(found, key=lambda run: (run.info.start_time, run.info.run_id))


def create_run(
    client: MlflowClient,
    experiment_id: str,
    identity: RunIdentity,
    *,
    tags: Mapping[str, str],
    start_time_ms: int | None = None,
) -> str:
    """Create a run with the identity's name and key, and return its id."""
    created = client.create_run(
        experiment_id,
        start_time=start_time_ms,
        tags={**tags, KEY_TAG: identity.key},
        run_name=identity.name,
    )
    return str(created.info.run_id)


def find_or_create_parent(
    client: MlflowClient, experiment_id: str, identity: RunIdentity, *, outbox_root: Path
) -> str:
    """Return the id of the only run with this key, which has the status FINISHED if it is created here.

    Processes that share the outbox create it one after the other. Several machines may create one each: then the
    oldest stays, the children of the others become its children, and the others are deleted.
    """
    with FileLock(outbox_root / f"{identity.key}.lock", timeout=_LOCK_TIMEOUT_S, mode=0o666):
        if not runs_with_key(client, experiment_id, identity.key):
            run_id = create_run(client, experiment_id, identity, tags={LEVEL_TAG: "family"})
            client.set_terminated(run_id, status="FINISHED")
        oldest, *others = (run.info.run_id for run in runs_with_key(client, experiment_id, identity.key))
        for other in others:
            _move_children(client, experiment_id, old_parent=other, new_parent=oldest)
            client.delete_run(other)
    return str(oldest)


def _move_children(client: MlflowClient, experiment_id: str, *, old_parent: str, new_parent: str) -> None:
    children = client.search_runs(
        [experiment_id], filter_string=f"tags.`{PARENT_TAG}` = '{old_parent}'", max_results=1000
    )
    for child in children:
        client.set_tag(child.info.run_id, PARENT_TAG, new_parent)
