"""Snapshots of averaged weights: equal to those of a shorter training, and none is lost when a process is killed."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lzn_testing.models.toy_training import (
    ToyStep,
    run_toy,
    toy_batches,
    toy_model,
    toy_schedule,
)
from torch import Tensor

from lzn.training import CheckpointFolder, TrainingCallbacks, TrainingInterruptedError, train

SNAPSHOT_STEPS = (3, 5, 9, 13)  # checkpoints are saved after 5, 10 and 13
SCHEDULE = toy_schedule(snapshot_steps=SNAPSHOT_STEPS)


class Killed(BaseException):
    """Simulates a killed process, which saves nothing more."""


class SnapshotRecorder:
    """Keeps snapshots by step; like a file, a second one of the same step replaces the first."""

    def __init__(self) -> None:
        self.weights: dict[int, dict[str, Tensor]] = {}
        self.calls: list[int] = []

    def __call__(self, step: int, weights: Any) -> None:
        self.calls.append(step)
        self.weights[step] = dict(weights)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, SnapshotRecorder)
            and self.weights.keys() == other.weights.keys()
            and all(
                torch.equal(tensor, other.weights[step][name])
                for step, weights in self.weights.items()
                for name, tensor in weights.items()
            )
        )

    __hash__ = None  # type: ignore[assignment]


@pytest.fixture(scope="module")
def uninterrupted() -> SnapshotRecorder:
    recorder = SnapshotRecorder()
    run_toy(schedule=SCHEDULE, on_snapshot=recorder)
    return recorder


def test_snapshots_are_taken_at_their_steps_and_do_not_change_the_training(
    uninterrupted: SnapshotRecorder,
) -> None:
    assert uninterrupted.calls == list(SNAPSHOT_STEPS)
    assert run_toy(schedule=SCHEDULE) == run_toy()


@pytest.mark.parametrize("step", SNAPSHOT_STEPS)
def test_a_snapshot_equals_the_result_of_a_training_of_that_length(
    uninterrupted: SnapshotRecorder, step: int
) -> None:
    shorter = run_toy(schedule=toy_schedule(num_steps=step))
    assert uninterrupted.weights[step].keys() == shorter.weights.keys()
    assert all(torch.equal(uninterrupted.weights[step][name], p) for name, p in shorter.weights.items())


def test_snapshots_contain_buffers() -> None:
    model, recorder = toy_model(), SnapshotRecorder()
    model.head.register_buffer("frequencies", torch.arange(3.0))
    callbacks = TrainingCallbacks(on_snapshot=recorder)
    train(model, ToyStep(), toy_batches(SCHEDULE), SCHEDULE, seed=0, callbacks=callbacks)
    assert torch.equal(recorder.weights[3]["head.frequencies"], torch.arange(3.0))


def test_a_snapshot_is_taken_before_the_checkpoint_of_its_step_is_saved(tmp_path: Path) -> None:
    """In the other order, a kill between the two would lose the snapshot, because the resumed run starts after it."""
    folder = CheckpointFolder(tmp_path / "checkpoints")
    newest: dict[int, int] = {}

    def look(step: int, weights: Any) -> None:
        state = folder.load_newest()
        newest[step] = 0 if state is None else state["progress"]["step"]

    run_toy(schedule=SCHEDULE, checkpoints=folder, on_snapshot=look)
    assert newest == {3: 0, 5: 0, 9: 5, 13: 10}


@pytest.mark.parametrize("killed_at", [3, 4, 5, 6, 9, 11, 13])
def test_a_kill_at_any_step_loses_no_snapshot(
    tmp_path: Path, uninterrupted: SnapshotRecorder, killed_at: int
) -> None:
    folder, recorder = CheckpointFolder(tmp_path), SnapshotRecorder()

    def on_step(step: int) -> None:  # called before the step's snapshot
        if step == killed_at:
            raise Killed

    with pytest.raises(Killed):
        run_toy(schedule=SCHEDULE, checkpoints=folder, on_snapshot=recorder, on_step=on_step)
    run_toy(schedule=SCHEDULE, checkpoints=folder, on_snapshot=recorder)
    assert recorder == uninterrupted


@pytest.mark.parametrize("killed_at", SNAPSHOT_STEPS)
def test_a_snapshot_interrupted_by_a_kill_is_taken_again(
    tmp_path: Path, uninterrupted: SnapshotRecorder, killed_at: int
) -> None:
    folder, recorder = CheckpointFolder(tmp_path), SnapshotRecorder()

    def die(step: int, weights: Any) -> None:
        if step == killed_at:
            raise Killed
        recorder(step, weights)

    with pytest.raises(Killed):
        run_toy(schedule=SCHEDULE, checkpoints=folder, on_snapshot=die)
    run_toy(schedule=SCHEDULE, checkpoints=folder, on_snapshot=recorder)
    assert recorder == uninterrupted


def test_a_stop_at_the_step_of_a_snapshot_loses_no_snapshot(
    tmp_path: Path, uninterrupted: SnapshotRecorder
) -> None:
    folder, recorder, finished = CheckpointFolder(tmp_path), SnapshotRecorder(), [0]
    with pytest.raises(TrainingInterruptedError):
        run_toy(
            schedule=SCHEDULE,
            checkpoints=folder,
            on_snapshot=recorder,
            on_step=lambda step: finished.__setitem__(0, step),
            should_stop=lambda: finished[0] == 9,
        )
    assert recorder.calls == [3, 5, 9]
    run_toy(schedule=SCHEDULE, checkpoints=folder, on_snapshot=recorder)
    assert recorder.calls == list(SNAPSHOT_STEPS)
    assert recorder == uninterrupted
