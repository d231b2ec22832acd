"""Tracking through a real ``mlflow server`` that is absent, killed, restarted, or does not respond."""

import json
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from lzn_testing.servers.mlflow_runs import (
    MlflowServer,
    artifact_text,
    curve,
    families_of,
    new_database,
    only_run,
    runs_of,
)
from lzn_testing.servers.small_model import load_model, save_small_model
from mlflow.tracking import MlflowClient

from pipelines.local.prefect_server import free_port
from stages.tracking import DatasetInput, MetricRow, RunIdentity, Tracker

KEY = "0123abcd"
PASSWORD = "correct-horse"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """One server for all tests, since it takes 8 s to start; each test has an experiment of its own."""
    folder = tmp_path_factory.mktemp("server")
    new_database(folder)
    server = MlflowServer(folder)
    server.start()
    yield server
    server.kill()


def log_steps(tracker: Tracker, steps: range) -> None:
    for step in steps:
        tracker.log_metrics([MetricRow(step, 1_800_000_000_000 + step, {"loss": 1 / (1 + step)})])


def test_three_thousand_steps_are_sent_in_at_most_six_requests(
    server: MlflowServer, outbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    before = server.num_requests("/api/2.0/mlflow/runs/log-batch")
    with Tracker.open(RunIdentity("batched", "rf", KEY), outbox=outbox, tags={}) as tracker:
        log_steps(tracker, range(3000))
        tracker.finish()
    run = only_run(server.uri, "batched")
    assert curve(server.uri, run, "loss") == [(step, 1 / (1 + step)) for step in range(3000)]
    # 3 full batches, and one more for each 10 s on a slow machine
    assert server.num_requests("/api/2.0/mlflow/runs/log-batch") - before <= 6


def test_a_stage_without_server_continues_and_a_later_stage_sends_its_records(
    server: MlflowServer, outbox: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")
    with Tracker.open(RunIdentity("absent", "rf", KEY), outbox=outbox, tags={}, send_every_s=0) as tracker:
        tracker.log_params({"lr": 0.1})
        log_steps(tracker, range(100))
        tracker.finish()
    (warning,) = capsys.readouterr().err.splitlines()
    assert str(outbox) in warning
    assert "Connection refused" in warning

    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    with Tracker.open(RunIdentity("absent", "rf_lzn", "4567abcd"), outbox=outbox, tags={}):
        by_name = {run.info.run_name: run for run in runs_of(server.uri, "absent")}
    assert by_name["rf"].info.status == "FINISHED"
    assert by_name["rf"].data.params == {"lr": "0.1"}
    assert [step for step, _ in curve(server.uri, by_name["rf"], "loss")] == list(range(100))
    assert list(outbox.glob("*/journal.jsonl")) == []
    assert capsys.readouterr().err == ""


@pytest.mark.slow
def test_a_server_that_is_killed_and_restarted_during_a_run_has_each_record_once(
    server: MlflowServer,
    outbox: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    with Tracker.open(RunIdentity("killed", "rf", KEY), outbox=outbox, tags={}, send_every_s=0) as tracker:
        log_steps(tracker, range(20))
        tracker.log_table({"fd": [3.0]}, "table.json")
        server.kill()
        log_steps(tracker, range(20, 40))
        tracker.log_params({"lr": 0.1})
        tracker.log_table({"fd": [2.0]}, "table.json")
        tracker.log_summary({"fd": 2.0})
        shutil.copytree(outbox / KEY, tmp_path / "unsent")
        server.start()
        tracker.finish()
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not (outbox / KEY).exists()
    shutil.copytree(
        tmp_path / "unsent", outbox / KEY
    )  # as if the process was killed between sending and removing
    Tracker.join(RunIdentity("killed", "rf", KEY), outbox=outbox, tags={})

    run = only_run(server.uri, "killed")
    assert curve(server.uri, run, "loss") == [(step, 1 / (1 + step)) for step in range(40)]
    assert curve(server.uri, run, "fd") == [(0, 2.0)]
    assert run.data.params == {"lr": "0.1"}
    assert json.loads(artifact_text(server.uri, run, "table.json", tmp_path / "got"))["data"] == [[2.0]]
    assert run.info.status == "FINISHED"


@pytest.mark.slow
def test_models_and_data_are_there_once_after_the_server_was_killed_and_records_were_sent_again(
    server: MlflowServer, outbox: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    family = RunIdentity("models", "rf", "fa" * 8)
    seed = RunIdentity("models", "rf, seed 0", KEY, parent=family)
    data = DatasetInput("digits test", "0123456789ab", "outputs", "{}", "test")
    with Tracker.open(seed, outbox=outbox, tags={}) as tracker:
        tracker.log_datasets([data])
        tracker.log_model(f"{KEY}-step-3", "rf-seed-0-step-3", step=3, tags={}, params={})
        server.kill()
        tracker.log_model(
            KEY, "rf-seed-0", step=7, tags={}, params={"lr": "0.1"}, folder=save_small_model(tmp_path)
        )
        tracker.log_datasets([data])
        tracker.log_summary({"accuracy": 0.5}, curves=[("fd", 2.0, 10)], model=KEY, dataset=data)
        tracker.log_used_models([f"{KEY}-step-3"])
        shutil.copytree(outbox / KEY, tmp_path / "unsent")
        server.start()
        tracker.finish()
    assert not (outbox / KEY).exists()
    shutil.copytree(tmp_path / "unsent", outbox / KEY)
    Tracker.join(seed, outbox=outbox, tags={})
    assert not (outbox / KEY).exists()

    client = MlflowClient(server.uri)
    run = client.get_run(only_run(server.uri, "models").info.run_id)
    (parent,) = families_of(server.uri, "models")
    assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
    models = {model.name: model for model in client.search_logged_models([run.info.experiment_id])}
    assert set(models) == {"rf-seed-0", "rf-seed-0-step-3"}
    assert sorted(output.step for output in run.outputs.model_outputs) == [3, 7]
    assert len(run.inputs.model_inputs) == len(run.inputs.dataset_inputs) == 1
    linked = {(metric.key, metric.step, metric.dataset_name) for metric in models["rf-seed-0"].metrics}
    assert linked == {("accuracy", 0, "digits test"), ("fd", 10, "digits test")}
    loaded = load_model(server.uri, f"models:/{models['rf-seed-0'].model_id}")
    assert loaded.metadata.run_id == run.info.run_id


def test_a_server_that_accepts_connections_and_never_responds_costs_seconds(
    outbox: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
        began = time.monotonic()
        with Tracker.open(
            RunIdentity("silent", "rf", KEY), outbox=outbox, tags={}, send_every_s=0
        ) as tracker:
            log_steps(tracker, range(100))
            tracker.finish()
        # One attempt, and at most one more at the end; each has 2 requests of 1 s and a pause below 1 s.
        assert time.monotonic() - began < 8
    assert "timed out" in capsys.readouterr().err


def test_a_run_that_is_deleted_during_training_continues_as_a_new_run(
    server: MlflowServer, outbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    with Tracker.open(RunIdentity("deleted", "rf", KEY), outbox=outbox, tags={}, send_every_s=0) as tracker:
        log_steps(tracker, range(3))
        client = MlflowClient(server.uri)
        client.delete_run(only_run(server.uri, "deleted").info.run_id)
        log_steps(tracker, range(3, 6))
        tracker.finish()
    run = only_run(server.uri, "deleted")
    assert [step for step, _ in curve(server.uri, run, "loss")] == list(range(3, 6))
    assert run.info.status == "FINISHED"


@pytest.mark.parametrize("answers", [True, False], ids=["server answers", "server away"])
def test_a_password_in_the_uri_is_neither_printed_nor_stored(
    server: MlflowServer,
    outbox: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    answers: bool,
) -> None:
    port = server.port if answers else free_port()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://ann:{PASSWORD}@127.0.0.1:{port}")
    with Tracker.open(RunIdentity("secret", "rf", KEY), outbox=outbox, tags={}, send_every_s=0) as tracker:
        log_steps(tracker, range(3))
        tracker.finish()
    printed = capfd.readouterr()
    assert PASSWORD not in printed.out + printed.err
    assert (printed.err == "") == answers
    assert not any(PASSWORD in path.read_text() for path in outbox.rglob("*") if path.is_file())
    if answers:
        assert PASSWORD not in str(only_run(server.uri, "secret").to_dictionary())
