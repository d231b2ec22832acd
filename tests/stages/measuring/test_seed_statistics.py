"""A stage that measures a run of two seeds: its files, its numbers in MLflow, and its errors."""

import json
from pathlib import Path

import pytest
from lzn_testing.projects.train_folder import TrainFolder
from lzn_testing.servers.mlflow_runs import families_of, runs_of
from mlflow.tracking import MlflowClient

STAGE = """
from stages.measuring.seed_statistics import run_measuring_stage
run_measuring_stage("measure", lambda call: {"fd": 2.0 + call.run_seed, "share": {"of_bank": 0.5}})
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> TrainFolder:
    folder = TrainFolder(tmp_path_factory.mktemp("measuring") / "two", num_steps=1, seeds=[0, 2])
    folder.run("train", "rf")
    process = folder.start_python("-c", STAGE, "rf")
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert output == "rf: fd 3.0 ± 1.4, share.of_bank 0.5 ± 0\n"
    return folder


def test_the_numbers_of_each_seed_and_their_means_and_deviations_are_written(folder: TrainFolder) -> None:
    outputs = folder.folder / "outputs/tiny"
    assert json.loads((outputs / "metrics/measure/rf/seed_2.json").read_text()) == {
        "fd": 4.0,
        "share": {"of_bank": 0.5},
    }
    summary = json.loads((outputs / "metrics/measure/rf.json").read_text())
    assert summary["fd"] == {"mean": 3.0, "std": pytest.approx(2**0.5)}
    assert summary["share"]["of_bank"] == {"mean": 0.5, "std": 0.0}


def test_the_mlflow_run_of_each_seed_has_its_numbers_and_an_equal_share_of_the_time(
    folder: TrainFolder,
) -> None:
    metrics = {run.info.run_name: run.data.metrics for run in runs_of(folder.uri, "lzn-tiny")}
    assert {name: found["measure/fd"] for name, found in metrics.items()} == {
        "rf, seed 0": 2.0,
        "rf, seed 2": 4.0,
    }
    assert all(0 < found["seconds/measure"] < 120 for found in metrics.values())


def test_the_parent_of_the_seeds_has_means_and_deviations(folder: TrainFolder) -> None:
    (family,) = families_of(folder.uri, "lzn-tiny")
    assert family.info.run_name == "rf"
    assert "run" not in family.data.tags  # the view of curves groups seeds by it
    assert family.data.metrics == {
        "measure/fd": 3.0,
        "measure/fd_std": pytest.approx(2**0.5),
        "measure/share.of_bank": 0.5,
        "measure/share.of_bank_std": 0.0,
    }
    parents = {run.data.tags["mlflow.parentRunId"] for run in runs_of(folder.uri, "lzn-tiny")}
    assert parents == {family.info.run_id}


def test_the_numbers_are_linked_to_the_model_and_the_data_of_the_seed(folder: TrainFolder) -> None:
    for run in runs_of(folder.uri, "lzn-tiny"):
        (output,) = run.outputs.model_outputs
        model = MlflowClient(folder.uri).get_logged_model(output.model_id)
        linked = {metric.key: metric.dataset_name for metric in model.metrics}
        assert linked == {"measure/fd": "digits train", "measure/share.of_bank": "digits train"}
        assert model.source_run_id == run.info.run_id
        assert [used.dataset.name for used in run.inputs.dataset_inputs] == ["digits train"]


def test_the_run_says_who_made_it_from_which_code_and_has_a_description(folder: TrainFolder) -> None:
    tags = runs_of(folder.uri, "lzn-tiny")[0].data.tags
    assert tags["mlflow.source.name"].endswith("stages/train.py")
    assert tags["mlflow.user"]
    assert "case study *generation* on `digits`, 1 training steps" in tags["mlflow.note.content"]
    (family,) = families_of(folder.uri, "lzn-tiny")
    assert tags["mlflow.runColor"] == family.data.tags["mlflow.runColor"]


def test_an_untrained_run_is_an_error_that_names_the_command_that_trains_it(folder: TrainFolder) -> None:
    process = folder.start_python("-c", STAGE, "joint")
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert errors == "measure: run joint is not trained: run dvc repro train@joint\n"


def test_a_seed_that_the_run_does_not_have_is_an_error(folder: TrainFolder) -> None:
    process = folder.start_python("-m", "stages.train", "rf", "--seed", "1")
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "runs.rf: the run has no seed 1; its seeds are 0, 2" in errors


def test_torchrun_without_a_seed_is_an_error_that_asks_for_the_seed(folder: TrainFolder) -> None:
    process = folder.start_python("-m", "stages.train", "rf", RANK="0", WORLD_SIZE="1")
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "run rf has 2 seeds: under torchrun choose one with --seed" in errors
    assert Path(folder.folder / "outputs/tiny/train/rf/seed_0/weights.safetensors").exists()
