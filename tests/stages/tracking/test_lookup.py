"""Runs are looked up in MLflow; an unavailable MLflow is reported and is no error."""

import time
from pathlib import Path

import pytest
from lzn_testing.servers.mlflow_runs import new_database

from pipelines.local.prefect_server import free_port
from stages.tracking import RunIdentity, Tracker, look_up

KEYS = [digit * 16 for digit in "abc"]


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A database with two finished runs."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", new_database(tmp_path))
    for key in KEYS[:2]:
        identity = RunIdentity("lzn-tiny", f"rf {key[0]}", key)
        with Tracker.open(identity, outbox=tmp_path / "outbox", tags={"hardware": "a test"}) as tracker:
            tracker.log_summary({"seconds/train": 12.5})
            tracker.finish()
    return tmp_path / "mlflow.db"


def test_runs_are_found_by_their_keys_with_times_tags_and_metrics(database: Path) -> None:
    found = look_up("lzn-tiny", KEYS)
    assert set(found.runs) == set(KEYS[:2])
    run = found.runs[KEYS[0]]
    assert run.name == "rf a"
    assert run.tags["hardware"] == "a test"
    assert run.metrics["seconds/train"] == 12.5
    assert run.ended_at is not None
    assert abs(run.ended_at - time.time()) < 600  # seconds since the epoch, not milliseconds
    assert run.ended_at >= run.started_at
    assert found.error == ""
    assert found.needs_interface
    page = f"/#/experiments/{run.experiment_id}/runs/{run.run_id}?workflowType=machine_learning"
    assert found.page_of(run).endswith(page)


def test_a_lookup_does_not_change_the_database(database: Path) -> None:
    before = database.read_bytes()
    look_up("lzn-tiny", KEYS)
    look_up("lzn-other", KEYS)
    assert database.read_bytes() == before


def test_a_missing_experiment_is_reported(database: Path) -> None:
    found = look_up("lzn-other", KEYS)
    assert not found.runs
    assert "there is no experiment lzn-other" in found.error


def test_a_missing_database_is_reported_and_not_created(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    found = look_up("lzn-tiny", KEYS)
    assert found.error == "FileNotFoundError: there is no mlflow.db"
    assert not list(tmp_path.iterdir())


def test_an_unavailable_server_is_reported_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://someone:secret@127.0.0.1:{port}/team/")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")  # as in stages
    start = time.monotonic()
    found = look_up("lzn-tiny", KEYS)
    assert (
        time.monotonic() - start < 30
    )  # one retry after a refused connection; the rest is for a busy machine
    assert found.error
    assert "secret" not in f"{found}"
    assert found.interface == f"http://127.0.0.1:{port}/team"
    assert not found.needs_interface
