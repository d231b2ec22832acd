"""A folder with a small data set, in which tests start and disturb a small training."""

import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from lzn_testing.projects.made_once import made_once
from lzn_testing.projects.stage_folder import StageFolder
from lzn_testing.servers.mlflow_runs import only_run

PARAMS = """\
size: tiny
hardware: {{num_threads: 1}}
data:
  digits: {{kind: digits, test_fraction: 0.9, seed: 0}}
runs:
  rf:
    study: generation
    data: digits
    seeds: {seeds}
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
      num_steps: {num_steps}
      batch_size: 16
      learning_rates: {{decoder: 1.0e-3}}
      warmup_steps: 10
      ema_decay: 0.9
      log_every: 7
      checkpoint_every: 10
"""
OUTPUTS = ("weights.safetensors", "run.json", "curve.csv", "rf.csv")


class TrainFolder(StageFolder):
    """A folder in which the stage train can be started."""

    def __init__(self, folder: Path, *, num_steps: int, seeds: Sequence[int] = (0,)) -> None:
        super().__init__(folder, PARAMS.format(num_steps=num_steps, seeds=list(seeds)))
        prepared = made_once("train_folder", _prepare) / "prepared"
        shutil.copytree(prepared / "outputs", folder / "outputs")

    def start_training(self, **settings: str) -> "subprocess.Popen[str]":
        return self.start("train", "rf", **settings)

    def checkpoints(self) -> list[int]:
        """Return the steps of the complete checkpoints."""
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
        files = [*outputs.glob("train/rf/seed_0/*.*"), *outputs.glob("plots/train/*")]
        return {file.name: file.read_bytes() for file in files}

    def status(self) -> str:
        status: str = only_run(self.uri, "lzn-tiny").info.status
        return status


def _prepare(folder: Path) -> None:
    StageFolder(folder / "prepared", PARAMS.format(num_steps=1, seeds=[0])).run("prepare", "digits")


@dataclass(frozen=True)
class Ended:
    """The exit of a process: its output, the seconds until it ended, and the files and MLflow status after it."""

    returncode: int
    stdout: str
    stderr: str
    seconds: float
    status: str
    checkpoints: list[int]
    outputs: dict[str, bytes]

    @staticmethod
    def of(project: TrainFolder, process: "subprocess.Popen[str]") -> "Ended":
        start = time.monotonic()
        stdout, stderr = process.communicate(timeout=120)
        seconds = time.monotonic() - start
        left = project.status(), project.checkpoints(), project.outputs()
        return Ended(process.returncode, stdout, stderr, seconds, *left)


def workers_of(launcher: "subprocess.Popen[str]") -> list[psutil.Process]:
    """Return the workers of a training, in order of their ranks."""
    return sorted(psutil.Process(launcher.pid).children(), key=lambda worker: int(worker.environ()["RANK"]))
