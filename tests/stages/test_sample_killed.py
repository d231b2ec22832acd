"""The stage sample resumes after its last finished batch and writes the same files as without a kill."""

import signal
import time
from pathlib import Path

import numpy as np
import pytest
from lzn_testing.projects.stage_folder import StageFolder

from stages.sampling.resumable_images import ResumableImages

PARAMS = """\
size: tiny
hardware: {num_threads: 1}
data:
  digits: {kind: digits, test_fraction: 0.9, seed: 0}
runs:
  rf_lzn:
    study: generation
    data: digits
    seeds: [0]
    conditional: true
    latent: {dim: 4, alpha: 1.0, solver: {kind: euler, num_steps: 5}}
    latent_blocks: {channels: 2, units: 4}
    unet:
      image_size: 8
      image_channels: 1
      base_channels: 4
      channel_multipliers: [1]
      blocks_per_level: 1
      attention_resolutions: []
    training:
      num_steps: 2
      batch_size: 16
      learning_rates: {decoder: 1.0e-3, encoder: 1.0e-3}
      warmup_steps: 1
      ema_decay: 0.9
      log_every: 1
sample:
  digits:
    seed: 0
    num_images: 120
    batch_size: 3
    sampler: {kind: euler, num_steps: 40}
"""


class Project(StageFolder):
    """A folder with a trained run."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, PARAMS)
        self.run("prepare", "digits")
        self.run("train", "rf_lzn")

    def num_finished(self) -> int:
        counters = list(self.folder.glob(".checkpoints/tiny/sample-*/num_finished"))
        return int(counters[0].read_text()) if counters else 0

    def outputs(self) -> dict[str, bytes]:
        outputs = self.folder / "outputs/tiny"
        files = [*outputs.glob("sample/**/*.*"), *outputs.glob("plots/sample/*/*")]
        return {file.name: file.read_bytes() for file in files}


@pytest.mark.slow
def test_after_a_kill_the_stage_writes_the_same_files_as_without(tmp_path: Path) -> None:
    reference, killed = Project(tmp_path / "reference"), Project(tmp_path / "killed")
    reference.run("sample", "rf_lzn")

    process = killed.start("sample", "rf_lzn")
    deadline = time.monotonic() + 120
    while killed.num_finished() < 6:
        assert process.poll() is None, "the stage ended before the test killed it"
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    finished = killed.num_finished()
    assert 6 <= finished < 120
    assert killed.outputs() == {}
    killed.run("sample", "rf_lzn")

    assert sorted(reference.outputs()) == ["classes.png", "grid.png", "images.npy", "labels.npy"]
    assert killed.outputs() == reference.outputs()
    assert killed.num_finished() == 0  # the folder of unfinished work is deleted


def test_an_array_is_continued_after_its_last_batch_and_moved_when_it_is_complete(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, size=(7, 1, 2, 2), dtype=np.uint8)
    first = ResumableImages.open(tmp_path / "work", images.shape)
    first.append(images[:3])
    second = ResumableImages.open(tmp_path / "work", images.shape)
    assert second.num_finished == 3
    second.append(images[3:6])
    third = ResumableImages.open(tmp_path / "work", images.shape)
    third.append(images[6:])
    third.move_to(tmp_path / "out/images.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "out/images.npy"), images)
    assert not (tmp_path / "work").exists()
