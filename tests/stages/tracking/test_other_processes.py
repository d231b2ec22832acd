"""Runs of other processes: which are marked as killed, and which of two with one key is used."""

import os
import socket
from pathlib import Path

import pytest
from lzn_testing.servers.mlflow_runs import new_database
from mlflow.tracking import MlflowClient

from stages.tracking import RunIdentity, Tracker
from stages.tracking.delivery import HOST_TAG, PROCESS_TAG
from stages.tracking.experiments import KEY_TAG, runs_with_key
from stages.tracking.stored_runs import find_runs

EXPERIMENT = "lzn-digits"
NO_PROCESS = str(2**22 + 1)  # more than Linux's largest process number
HERE = socket.gethostname()


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    """A client of an empty database, with the experiment of the digits."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", new_database(tmp_path))
    found = MlflowClient(os.environ["MLFLOW_TRACKING_URI"])
    found.create_experiment(EXPERIMENT, artifact_location=str(tmp_path / "mlartifacts"))
    return found


def create(
    client: MlflowClient, key: str, *, host: str = HERE, process: str = NO_PROCESS, start: int = 1000
) -> str:
    """Create a running run, as a training on a machine does."""
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    tags = {KEY_TAG: key, HOST_TAG: host, PROCESS_TAG: process}
    run_id: str = client.create_run(experiment.experiment_id, start_time=start, tags=tags).info.run_id
    return run_id


def test_only_runs_whose_process_on_this_machine_is_gone_are_marked_as_killed(
    client: MlflowClient, tmp_path: Path
) -> None:
    runs = {
        "gone": create(client, "gone"),
        "alive": create(client, "alive", process=str(os.getpid())),
        "of the system": create(client, "system", process="1"),
        "of another machine": create(client, "other", host="elsewhere"),
        "of an unknown process": create(client, "unknown", process="?"),
    }
    Tracker.open(RunIdentity(EXPERIMENT, "rf", "0123abcd"), outbox=tmp_path / "outbox", tags={})
    status = {name: client.get_run(run_id).info.status for name, run_id in runs.items()}
    assert status == dict.fromkeys(runs, "RUNNING") | {"gone": "KILLED"}


def test_the_older_of_two_runs_with_one_key_is_used_whichever_was_stored_first(
    client: MlflowClient, tmp_path: Path
) -> None:
    newer = create(client, "0123abcd", start=2000)
    older = create(client, "0123abcd", start=1000)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    found = runs_with_key(client, experiment.experiment_id, "0123abcd")
    assert [run.info.run_id for run in found] == [older, newer]
    uri = os.environ["MLFLOW_TRACKING_URI"]
    assert find_runs(uri, EXPERIMENT, frozenset(["0123abcd"]))["0123abcd"].run_id == older
    with Tracker.open(
        RunIdentity(EXPERIMENT, "rf", "0123abcd"), outbox=tmp_path / "outbox", tags={"stage": "train"}
    ) as tracker:
        tracker.finish()
    assert client.get_run(older).data.tags["stage"] == "train"
    assert "stage" not in client.get_run(newer).data.tags
