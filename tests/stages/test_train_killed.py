"""The train stage killed by SIGKILL, ended by SIGTERM, and robbed of its newest checkpoint, ends as if undisturbed."""

import csv
import re
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from lzn_oracles.mlflow_runs import curve, only_run
from lzn_oracles.stage_folder import StageFolder

pytestmark = pytest.mark.slow  # kills and restarts real processes, which import torch each time

NUM_STEPS = 150  # seconds, so that a signal arrives in time on a busy machine
PARAMS = f"""\
size: tiny
hardware: {{num_threads: 1}}
data:
  digits: {{kind: digits, test_fraction: 0.9, seed: 0}}
runs:
  rf:
    study: generation
    data: digits
    seed: 0
    conditional: false
    latent: null
    unet:
      image_size: 8
      image_channels: 1
      base_channels: 4
      channel_multipliers: [1]
      blocks_per_level: 1
      attention_resolutions: []
      dropout: 0.2
    training:
      num_steps: {NUM_STEPS}
      batch_size: 16
      learning_rates: {{decoder: 1.0e-3}}
      warmup_steps: 10
      ema_decay: 0.9
      log_every: 7
      checkpoint_every: 10
"""
OUTPUTS = ("weights.safetensors", "run.json", "rf.csv")


class Project(StageFolder):
    """A folder in which the train stage can be started."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, PARAMS)
        self.run("prepare", "digits")

    def start_training(self) -> "subprocess.Popen[str]":
        return self.start("train", "rf")

    def checkpoints(self) -> list[int]:
        """Steps of the checkpoints that are complete."""
        return sorted(
            int(file.stem.removeprefix("step_")) for file in self.folder.glob(".checkpoints/*/*/*.sha256")
        )

    def wait_for_checkpoint_after(self, step: int, process: "subprocess.Popen[str]") -> None:
        deadline = time.monotonic() + 120
        while not self.checkpoints() or self.checkpoints()[-1] <= step:
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline, "no new checkpoint appeared"
            time.sleep(0.002)

    def outputs(self) -> dict[str, bytes]:
        outputs = self.folder / "outputs/tiny"
        files = [*outputs.glob("train/rf/*.*"), *outputs.glob("plots/train/*")]
        return {file.name: file.read_bytes() for file in files}

    def status(self) -> str:
        status: str = only_run(self.uri, "lzn-tiny").info.status
        return status


@dataclass(frozen=True)
class Ended:
    """How a process ended, and what it left."""

    returncode: int
    stdout: str
    stderr: str
    status: str
    checkpoints: list[int]
    outputs: dict[str, bytes]

    @staticmethod
    def of(project: Project, process: "subprocess.Popen[str]") -> "Ended":
        stdout, stderr = process.communicate(timeout=120)
        left = project.status(), project.checkpoints(), project.outputs()
        return Ended(process.returncode, stdout, stderr, *left)


@dataclass(frozen=True)
class History:
    """One training that nothing disturbed, and one in another folder that went through it all."""

    undisturbed: Ended
    killed: Ended
    terminated: Ended
    finished: Ended
    project: Project


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    folder = tmp_path_factory.mktemp("train")
    quiet, project = Project(folder / "quiet"), Project(folder / "disturbed")
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


def test_an_undisturbed_training_is_quiet_and_finished(history: History) -> None:
    ended = history.undisturbed
    assert (ended.returncode, ended.status, ended.stderr) == (0, "FINISHED", "")
    assert ended.stdout.startswith(f"rf: step {NUM_STEPS}: loss ")
    assert sorted(ended.outputs) == sorted(OUTPUTS)


def test_sigkill_leaves_checkpoints_and_no_outputs(history: History) -> None:
    ended = history.killed
    assert ended.returncode == -signal.SIGKILL
    assert 0 < ended.checkpoints[-1] < NUM_STEPS
    assert ended.outputs == {}
    assert ended.status == "RUNNING"  # nobody was left to say otherwise


def test_sigterm_saves_a_checkpoint_and_ends_the_mlflow_run_as_killed(history: History) -> None:
    ended = history.terminated
    assert ended.returncode == 128 + signal.SIGTERM
    assert ended.status == "KILLED"
    assert ended.outputs == {}
    said = re.search(
        rf"train: stopped after step (\d+) of {NUM_STEPS}; the next dvc repro goes on", ended.stderr
    )
    assert said is not None, ended.stderr
    assert ended.checkpoints[-1] == int(said[1])


def test_a_truncated_newest_checkpoint_is_warned_of_and_the_one_before_is_used(history: History) -> None:
    damaged = f"step_{history.terminated.checkpoints[-1]:09d}.pt is damaged; using the one before"
    assert damaged in history.finished.stderr
    assert history.finished.stderr.count("is damaged") == 1


def test_in_the_end_all_outputs_are_those_of_the_undisturbed_training(history: History) -> None:
    assert history.finished.returncode == 0, history.finished.stderr
    assert history.finished.outputs == history.undisturbed.outputs


def test_mlflow_has_one_finished_run_with_every_point_of_the_curve_once(history: History) -> None:
    uri = history.project.uri
    run = only_run(uri, "lzn-tiny")
    assert run.info.status == "FINISHED"
    rows = list(csv.DictReader(history.undisturbed.outputs["rf.csv"].decode().splitlines()))
    assert curve(uri, run, "loss") == [(int(row["step"]), float(row["loss"])) for row in rows]
    assert run.data.params["training.num_steps"] == str(NUM_STEPS)
