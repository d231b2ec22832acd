"""Reads runs from MLflow's server or database."""

from collections.abc import Iterable

from mlflow.entities import Experiment, Run
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from stages.tracking import server
from stages.tracking.artifact_places import re_root
from stages.tracking.experiments import KEY_TAG
from stages.tracking.tracked_run import TrackedRun


def find_experiment(uri: str, name: str) -> Experiment:
    """Return an experiment. Raises one of ``server.FAILURES``, also if it does not exist."""
    database = server.sqlite_file(uri)
    if database is not None and not database.exists():
        raise FileNotFoundError(f"there is no {database.name}")  # the client would create an empty one
    if database is not None:
        re_root(database)
    stored = MlflowClient(tracking_uri=uri).get_experiment_by_name(name)
    if stored is None:
        raise MlflowException(f"there is no experiment {name}")
    return stored


def find_runs(uri: str, experiment: str, keys: frozenset[str]) -> dict[str, TrackedRun]:
    """Return the runs of an experiment by their keys. Raises one of ``server.FAILURES``."""
    stored = find_experiment(uri, experiment)
    client = MlflowClient(tracking_uri=uri)
    found: dict[str, TrackedRun] = {}
    # Of several runs with one key the oldest counts, as in `run_writer`.
    for run in _all_runs(client, stored.experiment_id):
        key = run.data.tags.get(KEY_TAG, "")
        if key in keys:
            found.setdefault(key, _tracked(run))
    return found


def _all_runs(client: MlflowClient, experiment_id: str) -> Iterable[Run]:
    token = None
    while True:
        page = client.search_runs([experiment_id], order_by=["attributes.start_time ASC"], page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _tracked(run: Run) -> TrackedRun:
    return TrackedRun(
        run_id=run.info.run_id,
        experiment_id=run.info.experiment_id,
        name=run.info.run_name,
        started_at=run.info.start_time / 1000,
        ended_at=None if run.info.end_time is None else run.info.end_time / 1000,
        tags=run.data.tags,
        metrics=run.data.metrics,
    )
