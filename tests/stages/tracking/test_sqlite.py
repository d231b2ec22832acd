"""Tracking into SQLite, read with MLflow's own client."""

import json
import math
import shutil
from pathlib import Path

import pytest
from lzn_testing.servers.mlflow_runs import artifact_text, curve, only_run, runs_of
from mlflow.tracking import MlflowClient

from stages.tracking import MetricRow, RunIdentity, Tracker

KEY = "0123abcd"


def rows(steps: range, *, at_ms: int = 1_800_000_000_000) -> list[MetricRow]:
    return [MetricRow(step, at_ms + step, {"loss": 1 / (1 + step)}) for step in steps]


def test_everything_that_is_logged_can_be_read_in_mlflow(uri: str, outbox: Path, tmp_path: Path) -> None:
    (tmp_path / "latest.png").write_text("an image")
    with Tracker.open(RunIdentity("lzn", "rf", KEY), outbox=outbox, tags={"stage": "train"}) as tracker:
        tracker.log_params({"optimizer": {"lr": 1e-3}, "flips": False, "labels": None})
        tracker.log_metrics(rows(range(3)))
        tracker.log_summary({"fd_digits": 2.5})
        tracker.log_file(tmp_path / "latest.png", "samples/grid.png")
        tracker.set_tags({"weights": "outputs/rf.safetensors"})
        assert only_run(uri, "lzn").info.status == "RUNNING"
        tracker.finish()
    run = only_run(uri, "lzn")
    assert (run.info.run_name, run.info.status) == ("rf", "FINISHED")
    assert run.data.params == {"optimizer.lr": "0.001", "flips": "False", "labels": "None"}
    assert (
        run.data.tags.items()
        >= {"stage": "train", "weights": "outputs/rf.safetensors", "lzn.key": KEY}.items()
    )
    assert curve(uri, run, "loss") == [(0, 1.0), (1, 1 / 2), (2, 1 / 3)]
    assert run.data.metrics["fd_digits"] == 2.5
    assert artifact_text(uri, run, "samples/grid.png", tmp_path / "got") == "an image"
    assert not (outbox / KEY).exists()


def test_a_table_is_loaded_by_mlflow_and_replaced_when_logged_again(uri: str, outbox: Path) -> None:
    for fd in (3.5, math.nan):
        with Tracker.join(RunIdentity("lzn", "tables", KEY), outbox=outbox, tags={}) as tracker:
            tracker.log_table({"run": ["rf", "rf_lzn"], "fd_digits": [fd, 2.0]}, "tables/table1.json")
    experiment = MlflowClient(uri).get_experiment_by_name("lzn")
    assert experiment is not None
    loaded = MlflowClient(uri).load_table(
        experiment.experiment_id, "tables/table1.json", extra_columns=["run_id"]
    )
    assert loaded["run"].tolist() == ["rf", "rf_lzn"]
    assert math.isnan(loaded["fd_digits"][0])
    assert loaded["fd_digits"][1] == 2.0
    assert loaded["run_id"].tolist() == [only_run(uri, "lzn").info.run_id] * 2


def test_columns_of_different_lengths_are_an_error(uri: str, outbox: Path) -> None:
    with (
        Tracker.join(RunIdentity("lzn", "tables", KEY), outbox=outbox, tags={}) as tracker,
        pytest.raises(ValueError, match="equally long"),
    ):
        tracker.log_table({"run": ["rf"], "fd": []}, "table.json")


def test_a_resumed_training_continues_its_run_and_repeated_steps_are_there_once(
    uri: str, outbox: Path
) -> None:
    identity = RunIdentity("lzn", "rf", KEY)

    def train_until_sigterm() -> None:
        with Tracker.open(identity, outbox=outbox, tags={}) as tracker:
            tracker.log_params({"lr": 0.1})
            tracker.log_metrics(rows(range(8)))
            tracker.kill()
            raise InterruptedError("SIGTERM")

    with pytest.raises(InterruptedError):
        train_until_sigterm()
    assert only_run(uri, "lzn").info.status == "KILLED"
    with Tracker.open(identity, outbox=outbox, tags={}) as tracker:
        assert only_run(uri, "lzn").info.status == "RUNNING"
        tracker.log_params({"lr": 0.1})
        tracker.log_metrics(rows(range(5, 12), at_ms=1_900_000_000_000))  # from the checkpoint at step 5
        tracker.finish()
    run = only_run(uri, "lzn")
    assert run.info.status == "FINISHED"
    assert curve(uri, run, "loss") == [(step, 1 / (1 + step)) for step in range(12)]


def test_records_sent_twice_are_in_mlflow_once(
    uri: str, outbox: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the process dies after sending records and before removing them."""
    identity = RunIdentity("lzn", "rf", KEY)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")  # nothing listens there: all records stay
    with Tracker.open(identity, outbox=outbox, tags={"stage": "train"}) as tracker:
        tracker.log_params({"lr": 0.1})
        tracker.log_metrics(rows(range(5)))
        tracker.log_metrics([MetricRow(5, 1_800_000_000_005, {"loss": math.nan})])
        tracker.log_summary({"fd": 3.0})
        tracker.log_summary({"fd": 2.0})
        tracker.log_table({"a": [1, 2]}, "table.json")
        tracker.finish()
    shutil.copytree(outbox / KEY, tmp_path / "as it was")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    for _ in range(2):
        Tracker.join(identity, outbox=outbox, tags={})
        assert not (outbox / KEY).exists()
        shutil.copytree(tmp_path / "as it was", outbox / KEY)
    run = only_run(uri, "lzn")
    assert [step for step, _ in curve(uri, run, "loss")] == list(range(6))
    # The older number is stored again with its own old time, so it does not become the newest.
    assert sorted(value for _, value in curve(uri, run, "fd")) == [2.0, 3.0]
    assert run.data.metrics["fd"] == 2.0
    assert json.loads(artifact_text(uri, run, "table.json", tmp_path / "got"))["data"] == [[1], [2]]
    assert run.info.status == "FINISHED"


def test_the_newest_summary_is_valid_and_a_repeated_value_adds_nothing(uri: str, outbox: Path) -> None:
    for accuracy in (0.5, 0.5, 0.9, math.nan, math.nan, 0.5):
        with Tracker.join(RunIdentity("lzn", "joint", KEY), outbox=outbox, tags={}) as tracker:
            tracker.log_summary({"accuracy": accuracy})
    run = only_run(uri, "lzn")
    assert run.data.metrics["accuracy"] == 0.5
    assert len(curve(uri, run, "accuracy")) == 4  # 0.5, 0.9, NaN, 0.5


@pytest.mark.parametrize(
    ("raised", "said", "status"),
    [
        (None, "finish", "FINISHED"),
        (None, None, "KILLED"),
        (RuntimeError, "finish", "FAILED"),
        (RuntimeError, "kill", "KILLED"),
        (KeyboardInterrupt, None, "KILLED"),
    ],
)
def test_the_status_depends_on_how_the_stage_ended(
    uri: str, outbox: Path, raised: type[BaseException] | None, said: str | None, status: str
) -> None:
    def stage() -> None:
        with Tracker.open(RunIdentity("lzn", "rf", KEY), outbox=outbox, tags={}) as tracker:
            if said:
                getattr(tracker, said)()
            if raised:
                raise raised

    if raised:
        with pytest.raises(raised):
            stage()
    else:
        stage()
    assert only_run(uri, "lzn").info.status == status


def test_a_later_stage_adds_to_the_run_without_changing_its_status(uri: str, outbox: Path) -> None:
    identity = RunIdentity("lzn", "rf", KEY)
    with Tracker.open(identity, outbox=outbox, tags={}) as tracker:
        tracker.kill()
    ended = only_run(uri, "lzn").info.end_time

    def measure() -> None:
        with Tracker.join(identity, outbox=outbox, tags={"measured": "yes"}) as tracker:
            tracker.log_summary({"fd": 1.0})
            raise RuntimeError

    with pytest.raises(RuntimeError):
        measure()
    run = only_run(uri, "lzn")
    assert (run.info.status, run.info.end_time) == ("KILLED", ended)
    assert run.data.metrics == {"fd": 1.0}


def test_a_later_stage_creates_a_finished_run_where_mlflow_has_none(uri: str, outbox: Path) -> None:
    with Tracker.join(RunIdentity("lzn", "rf", KEY), outbox=outbox, tags={}):
        assert only_run(uri, "lzn").info.status == "FINISHED"


def test_a_changed_parameter_keeps_its_first_value_and_is_reported(
    uri: str, outbox: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for device in ("cpu", "cuda"):
        with Tracker.join(RunIdentity("lzn", "rf", KEY), outbox=outbox, tags={}) as tracker:
            tracker.log_params({"device": device, "lr": 0.1})
    assert only_run(uri, "lzn").data.params == {"device": "cpu", "lr": "0.1"}
    assert capsys.readouterr().err == (
        "MLflow: parameter device is now 'cuda'; MLflow keeps the first value 'cpu'\n"
    )


def test_a_refused_record_is_kept_in_a_file_and_does_not_block_the_others(
    uri: str, outbox: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    too_long = "loss" * 100
    with Tracker.join(RunIdentity("lzn", "rf", KEY), outbox=outbox, tags={}) as tracker:
        tracker.log_metrics(rows(range(3)))
        tracker.log_metrics([MetricRow(3, 1, {too_long: 1.0})])
        tracker.log_metrics(rows(range(3, 6)))
    assert [step for step, _ in curve(uri, only_run(uri, "lzn"), "loss")] == list(range(6))
    assert capsys.readouterr().err.count("refuses a record of run rf") == 1
    (refused,) = (outbox / KEY / "refused.jsonl").read_text().splitlines()
    assert json.loads(refused)["points"] == [[too_long, 1.0, 1, 3]]


def test_more_values_than_fit_into_one_request_are_all_stored(uri: str, outbox: Path) -> None:
    with Tracker.join(RunIdentity("lzn", "rf", KEY), outbox=outbox, tags={}) as tracker:
        tracker.log_params({f"p{number}": number for number in range(150)})
        tracker.log_metrics(rows(range(2100)))
    run = only_run(uri, "lzn")
    assert len(run.data.params) == 150
    assert [step for step, _ in curve(uri, run, "loss")] == list(range(2100))


def test_a_deleted_experiment_is_reported_and_its_records_are_sent_after_it_is_restored(
    uri: str, outbox: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    client = MlflowClient(uri)
    experiment_id = client.create_experiment("lzn")
    client.delete_experiment(experiment_id)
    with Tracker.open(RunIdentity("lzn", "rf", KEY), outbox=outbox, tags={}) as tracker:
        tracker.finish()
    assert "mlflow experiments restore" in capsys.readouterr().err
    client.restore_experiment(experiment_id)
    Tracker.join(RunIdentity("lzn", "rf_lzn", "4567abcd"), outbox=outbox, tags={})
    assert sorted(run.info.run_name for run in runs_of(uri, "lzn")) == ["rf", "rf_lzn"]


@pytest.mark.parametrize("mistyped", ["htp://127.0.0.1:5000", "sqlite:////proc/no/such/folder/mlflow.db"])
def test_an_invalid_tracking_uri_stops_no_stage_and_loses_no_record(
    uri: str, outbox: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], mistyped: str
) -> None:
    identity = RunIdentity("lzn", "rf", KEY)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mistyped)
    with Tracker.open(identity, outbox=outbox, tags={}) as tracker:
        tracker.log_metrics(rows(range(3)))
        tracker.finish()
    assert "does not accept tracking data" in capsys.readouterr().err
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    Tracker.join(identity, outbox=outbox, tags={})
    assert [step for step, _ in curve(uri, only_run(uri, "lzn"), "loss")] == [0, 1, 2]
