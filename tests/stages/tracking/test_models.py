"""Models of trainings in MLflow: their files, their run, and the numbers and data that are linked to them."""

import json
import math
import shutil
from pathlib import Path

import mlflow
import pytest
from lzn_testing.servers.mlflow_runs import only_run
from lzn_testing.servers.small_model import load_model, save_small_model
from mlflow.entities import LoggedModel
from mlflow.tracking import MlflowClient

from stages.tracking import DatasetInput, RunIdentity, Tracker

RUN = RunIdentity("lzn", "rf, seed 0", "0123abcd")
TEST = DatasetInput(
    "digits test", "0123456789ab", "outputs/digits/prepare/digits", '{"num_images": 9}', "test"
)


def log_model(tracker: Tracker, *, folder: Path | None = None, step: int = 7, key: str = RUN.key) -> None:
    tags = {"weights.path": "outputs/w", **({} if folder else {"mlflow.model.isExternal": "true"})}
    tracker.log_model(key, "rf-seed-0", step=step, tags=tags, params={"lr": "0.1"}, folder=folder)


def models(uri: str) -> list[LoggedModel]:
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("lzn")
    assert experiment is not None
    return list(client.search_logged_models([experiment.experiment_id]))


def test_a_model_is_an_output_of_its_run_with_files_that_mlflow_loads(
    uri: str, outbox: Path, tmp_path: Path
) -> None:
    with Tracker.open(RUN, outbox=outbox, tags={}) as tracker:
        log_model(tracker, folder=save_small_model(tmp_path))
        tracker.finish()
    (model,) = models(uri)
    run = only_run(uri, "lzn")
    assert (model.name, model.status, model.source_run_id) == ("rf-seed-0", "READY", run.info.run_id)
    assert model.params == {"lr": "0.1"}
    assert [(one.model_id, one.step) for one in run.outputs.model_outputs] == [(model.model_id, 7)]
    loaded = load_model(uri, f"models:/{model.model_id}")
    assert loaded.metadata.model_id == model.model_id
    assert loaded.metadata.run_id == run.info.run_id
    assert json.loads((outbox / "models.json").read_text()) == {RUN.key: model.model_id}
    assert not (outbox / RUN.key).exists()


def test_a_large_model_and_snapshots_are_known_by_their_paths(uri: str, outbox: Path) -> None:
    with Tracker.open(RUN, outbox=outbox, tags={}) as tracker:
        log_model(tracker)
        log_model(tracker, key=f"{RUN.key}-step-3", step=3)
        tracker.finish()
    by_key = {model.tags["lzn.key"]: model for model in models(uri)}
    assert set(by_key) == {RUN.key, f"{RUN.key}-step-3"}
    assert {model.tags["mlflow.model.isExternal"] for model in by_key.values()} == {"true"}
    steps = {one.model_id: one.step for one in only_run(uri, "lzn").outputs.model_outputs}
    assert steps == {by_key[RUN.key].model_id: 7, by_key[f"{RUN.key}-step-3"].model_id: 3}


def test_numbers_are_linked_to_the_model_and_the_data_except_nan(uri: str, outbox: Path) -> None:
    with Tracker.open(RUN, outbox=outbox, tags={}) as tracker:
        tracker.log_datasets([TEST])
        log_model(tracker)
        tracker.finish()
    with Tracker.join(RUN, outbox=outbox, tags={}) as tracker:
        tracker.log_datasets([TEST])
        tracker.log_summary(
            {"classify/accuracy": 0.5, "measure/is": math.nan},
            curves=[("steps/fd", 3.0, 10), ("steps/fd", 2.0, 20)],
            model=RUN.key,
            dataset=TEST,
        )
    (model,) = models(uri)
    linked = {(m.key, m.step): (m.value, m.dataset_name, m.dataset_digest) for m in model.metrics or ()}
    assert linked == {
        ("classify/accuracy", 0): (0.5, TEST.name, TEST.digest),
        ("steps/fd", 10): (3.0, TEST.name, TEST.digest),
        ("steps/fd", 20): (2.0, TEST.name, TEST.digest),
    }
    run = only_run(uri, "lzn")
    assert math.isnan(run.data.metrics["measure/is"])
    (used,) = run.inputs.dataset_inputs
    assert (used.dataset.name, used.dataset.digest) == (TEST.name, TEST.digest)
    assert [(tag.key, tag.value) for tag in used.tags] == [("mlflow.data.context", "test")]


def test_numbers_of_a_model_that_mlflow_does_not_have_are_numbers_of_the_run(uri: str, outbox: Path) -> None:
    with Tracker.join(RUN, outbox=outbox, tags={}) as tracker:
        tracker.log_summary({"accuracy": 0.5}, model=RUN.key)
    assert only_run(uri, "lzn").data.metrics == {"accuracy": 0.5}


def test_a_curve_of_final_numbers_has_the_newest_value_at_each_step(uri: str, outbox: Path) -> None:
    for value in (3.0, 3.0, 4.0, 4.0):
        with Tracker.join(RUN, outbox=outbox, tags={}) as tracker:
            tracker.log_summary({}, curves=[("steps/fd", value, 10), ("steps/fd", 2.0, 20)])
    run = only_run(uri, "lzn")
    history = MlflowClient(uri).get_metric_history(run.info.run_id, "steps/fd")
    points = sorted((point.timestamp, point.step, point.value) for point in history)
    assert [(step, value) for _, step, value in points] == [(10, 3.0), (20, 2.0), (10, 4.0)]


def test_records_of_models_sent_twice_are_in_mlflow_once(
    uri: str, outbox: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")  # nothing listens there: all records stay
    with Tracker.open(RUN, outbox=outbox, tags={}) as tracker:
        tracker.log_datasets([TEST])
        log_model(tracker, folder=save_small_model(tmp_path))
        log_model(tracker, key=f"{RUN.key}-step-3", step=3)
        tracker.log_summary({"accuracy": 0.5}, curves=[("fd", 1.0, 10)], model=RUN.key, dataset=TEST)
        tracker.log_used_models([RUN.key, "missing"])
        tracker.set_experiment_tags({"mlflow.note.content": "text"})
        tracker.finish()
    shutil.copytree(outbox / RUN.key, tmp_path / "as it was")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    for _ in range(2):
        Tracker.join(RUN, outbox=outbox, tags={})
        assert not (outbox / RUN.key).exists()
        shutil.copytree(tmp_path / "as it was", outbox / RUN.key)
    assert len(models(uri)) == 2
    run = MlflowClient(uri).get_run(only_run(uri, "lzn").info.run_id)  # a search leaves out models as inputs
    assert len(run.outputs.model_outputs) == 2
    assert len(run.inputs.model_inputs) == 1
    assert len(run.inputs.dataset_inputs) == 1
    client = MlflowClient(uri)
    assert len(client.get_metric_history(run.info.run_id, "fd")) == 1
    assert {len(model.metrics or ()) for model in models(uri)} == {0, 2}
    experiment = client.get_experiment_by_name("lzn")
    assert experiment is not None
    assert experiment.tags["mlflow.note.content"] == "text"


def test_a_record_that_is_refused_as_a_bad_request_is_set_aside_with_its_reason(
    uri: str, outbox: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A database that refuses to store a row answers BAD_REQUEST: here the digest of a data set is too long."""
    long = DatasetInput("digits test", "0" * 5000, "outputs", "{}", "test")
    with Tracker.open(RUN, outbox=outbox, tags={}) as tracker:
        tracker.log_datasets([long])
        tracker.log_summary({"accuracy": 0.5})
        tracker.finish()
    run = only_run(uri, "lzn")
    assert run.data.metrics == {"accuracy": 0.5}
    assert run.info.status == "FINISHED"
    (refused,) = (outbox / RUN.key / "refused.jsonl").read_text().splitlines()
    assert json.loads(refused)["reason"]
    assert json.loads(refused)["kind"] == "datasets"
    assert capsys.readouterr().err.count("refuses a record of run rf, seed 0") == 1


@pytest.mark.parametrize("code", ["BAD_REQUEST", "INVALID_STATE", "RESOURCE_DOES_NOT_EXIST"])
def test_a_refused_model_is_set_aside_with_its_files_and_later_records_are_sent(
    uri: str, outbox: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    def refuse(*args: object, **settings: object) -> None:
        raise mlflow.exceptions.MlflowException("not this one", error_code=getattr(codes, code))

    codes = mlflow.protos.databricks_pb2
    monkeypatch.setattr(MlflowClient, "create_logged_model", refuse)
    with Tracker.open(RUN, outbox=outbox, tags={}) as tracker:
        log_model(tracker, folder=save_small_model(tmp_path))
        tracker.log_summary({"accuracy": 0.5})
        tracker.finish()
    assert only_run(uri, "lzn").data.metrics == {"accuracy": 0.5}
    (line,) = (outbox / RUN.key / "refused.jsonl").read_text().splitlines()
    assert json.loads(line)["reason"] == f"{code}: not this one"
    assert list((outbox / RUN.key / "refused").glob("*/model/MLmodel"))
    assert not (outbox / RUN.key / "journal.jsonl").exists()
