"""A training with a SIGKILL, a SIGTERM and a damaged checkpoint has the same results as one without."""

import csv
import re
import signal
from dataclasses import dataclass

import pytest
from lzn_testing.projects.train_folder import OUTPUTS, Ended, TrainFolder
from lzn_testing.servers.mlflow_runs import curve, only_run

pytestmark = pytest.mark.slow  # kills and restarts real processes, which import torch each time

NUM_STEPS = 150  # seconds, so that a signal arrives in time on a busy machine


@dataclass(frozen=True)
class History:
    """A training without faults, and the phases of one with faults in another folder."""

    undisturbed: Ended
    killed: Ended
    terminated: Ended
    finished: Ended
    project: TrainFolder


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    folder = tmp_path_factory.mktemp("train")
    quiet = TrainFolder(folder / "quiet", num_steps=NUM_STEPS)
    project = TrainFolder(folder / "disturbed", num_steps=NUM_STEPS)
    undisturbed = quiet.start_training()
    process = project.start_training()
    project.wait_for_checkpoint_after(0, process)
    process.send_signal(signal.SIGKILL)
    killed = Ended.of(project, process)

    process = project.start_training()
    project.wait_for_checkpoint_after(killed.checkpoints[-1], process)
    process.send_signal(signal.SIGTERM)
    terminated = Ended.of(project, process)

    (newest,) = project.folder.glob(f".checkpoints/*/*/step_{terminated.checkpoints[-1]:09d}.pt")
    with newest.open("r+b") as stream:
        stream.truncate(1000)
    finished = Ended.of(project, project.start_training())
    return History(Ended.of(quiet, undisturbed), killed, terminated, finished, project)


def test_a_training_without_faults_prints_one_line_and_no_errors(history: History) -> None:
    ended = history.undisturbed
    assert (ended.returncode, ended.status, ended.stderr) == (0, "FINISHED", "")
    assert ended.stdout.startswith(f"rf, seed 0: step {NUM_STEPS}: loss ")
    assert sorted(ended.outputs) == sorted(OUTPUTS)


def test_sigkill_leaves_checkpoints_and_no_outputs(history: History) -> None:
    ended = history.killed
    assert ended.returncode == -signal.SIGKILL
    assert 0 < ended.checkpoints[-1] < NUM_STEPS
    assert ended.outputs == {}
    assert ended.status == "RUNNING"  # a killed process cannot change it


def test_sigterm_saves_a_checkpoint_and_ends_the_mlflow_run_as_killed(history: History) -> None:
    ended = history.terminated
    assert ended.returncode == 128 + signal.SIGTERM
    assert ended.status == "KILLED"
    assert ended.outputs == {}
    printed = re.search(
        rf"train: stopped after step (\d+) of {NUM_STEPS}; the next dvc repro resumes", ended.stderr
    )
    assert printed is not None, ended.stderr
    assert ended.checkpoints[-1] == int(printed[1])


def test_a_truncated_newest_checkpoint_gives_a_warning_and_the_one_before_is_used(history: History) -> None:
    damaged = f"step_{history.terminated.checkpoints[-1]:09d}.pt is damaged; the one before is used"
    assert damaged in history.finished.stderr
    assert history.finished.stderr.count("is damaged") == 1


def test_the_outputs_are_those_of_the_training_without_faults(history: History) -> None:
    assert history.finished.returncode == 0, history.finished.stderr
    assert history.finished.outputs == history.undisturbed.outputs
    live = history.project.folder / "live/rf/seed_0.csv"
    assert live.read_bytes() == history.undisturbed.outputs["curve.csv"]


def test_mlflow_has_one_finished_run_with_every_point_of_the_curve_once(history: History) -> None:
    uri = history.project.uri
    run = only_run(uri, "lzn-tiny")
    assert run.info.status == "FINISHED"
    rows = list(csv.DictReader(history.undisturbed.outputs["rf.csv"].decode().splitlines()))
    assert curve(uri, run, "train/loss") == [(int(row["step"]), float(row["loss"])) for row in rows]
    assert run.data.params["training.num_steps"] == str(NUM_STEPS)
