"""Numbers of a seed are those of its model in MLflow, and points along the training those of its snapshots."""

from pathlib import Path

import pytest
from lzn_testing.projects.trained_project import RUNS
from lzn_testing.servers.mlflow_runs import new_database
from mlflow.tracking import MlflowClient

from lzn.base.sections import validate
from lzn.runs.configuration import AnyRun
from lzn.runs.trained import TrainedConfiguration
from stages.measuring.seed_statistics import track_seed
from stages.measuring.tracked_names import tracked_numbers
from stages.tracking import DatasetInput, Tracker
from stages.tracking.seed_identity import identity_of, model_key, model_name

TEST = DatasetInput("digits test", "0123456789ab", "outputs", "{}", "test")


def test_each_point_along_the_training_is_linked_to_the_snapshot_of_its_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = new_database(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    run = validate(RUNS["representation"], AnyRun, where="representation")
    configuration = TrainedConfiguration(
        name="representation", size="tiny", key="0123abcd", num_classes=10, run=run
    )
    numbers = tracked_numbers(
        "probe",
        {"trained.pixels.top1": 0.75, "along_training.3.top1": 0.25, "along_training.6.top1": 0.5},
    )
    with Tracker.open(identity_of(configuration), outbox=tmp_path / "outbox", tags={}) as tracker:
        for step in (None, 3, 6):
            name = model_name(configuration, step=step)
            tracker.log_model(model_key(configuration, step=step), name, step=step or 6, tags={}, params={})
        track_seed(tracker, configuration, numbers, TEST)
        tracker.finish()
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("lzn-tiny")
    assert experiment is not None
    linked = {
        model.name: {(metric.key, metric.step): metric.value for metric in model.metrics}
        for model in client.search_logged_models([experiment.experiment_id])
    }
    assert linked == {
        "representation-seed-0": {("probe/trained.pixels.top1", 0): 0.75},
        "representation-seed-0-step-3": {("probe_along_training/top1", 3): 0.25},
        "representation-seed-0-step-6": {("probe_along_training/top1", 6): 0.5},
    }
