"""A finished training with more steps goes on from its last checkpoint, and ends like an uninterrupted one."""

from pathlib import Path

import pytest
import torch
from lzn_testing.models.toy_training import ToyStep, run_toy, toy_schedule

from lzn.training import CheckpointFolder, CurvePoint


@pytest.fixture
def folder(tmp_path: Path) -> CheckpointFolder:
    return CheckpointFolder(tmp_path / "checkpoints")


@pytest.mark.parametrize("log_every", [4, 7, 25])
def test_100_steps_and_50_more_are_150_steps_bit_for_bit(folder: CheckpointFolder, log_every: int) -> None:
    """With 7, the last point of the shorter training lies between two points of the longer one."""
    settings = {"log_every": log_every, "checkpoint_every": 40}
    expected = run_toy(schedule=toy_schedule(num_steps=150, **settings))
    run_toy(checkpoints=folder, schedule=toy_schedule(num_steps=100, **settings))
    rest = ToyStep(first_step=100)
    assert run_toy(rest, checkpoints=folder, schedule=toy_schedule(num_steps=150, **settings)) == expected
    assert rest.calls == 150


def test_a_training_resumes_with_more_steps_and_other_reports(folder: CheckpointFolder) -> None:
    longer = {"num_steps": 15, "log_every": 5, "checkpoint_every": 3, "max_bad_steps": 7}
    expected = run_toy(schedule=toy_schedule(**longer))
    run_toy(checkpoints=folder)
    resumed = run_toy(checkpoints=folder, schedule=toy_schedule(**longer, snapshot_steps=(14,)))
    assert all(torch.equal(resumed.weights[name], weight) for name, weight in expected.weights.items())


def test_the_reports_of_a_prolonged_training_have_no_point_that_an_uninterrupted_one_lacks(
    folder: CheckpointFolder,
) -> None:
    run_toy(checkpoints=folder)  # its curve ends with a point of step 13
    reported: list[tuple[CurvePoint, ...]] = []
    run_toy(checkpoints=folder, schedule=toy_schedule(num_steps=17), on_curve=reported.append)
    assert {point.step for curve in reported for point in curve} == {4, 8, 12, 16, 17}


def test_a_shorter_training_uses_no_later_checkpoint_and_leaves_it(folder: CheckpointFolder) -> None:
    expected = run_toy(schedule=toy_schedule(num_steps=7))
    run_toy(checkpoints=folder)
    assert run_toy(checkpoints=folder, schedule=toy_schedule(num_steps=7)) == expected
    rest = ToyStep()
    run_toy(rest, checkpoints=folder)
    assert rest.calls == 0
