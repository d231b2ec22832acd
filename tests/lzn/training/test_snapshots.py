"""Averaged weights on the way: those of a training that ends there, and none is lost by a kill."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lzn_testing.models.toy_training import (
    ToyStep,
    run_toy,
    toy_images,
    toy_model,
    toy_schedule,
)
from torch import Tensor

from lzn.training import CheckpointFolder, TrainingInterruptedError, train

AT = (3, 5, 9, 13)  # checkpoints are saved after 5, 10 and 13
SCHEDULE = toy_schedule(snapshot_steps=AT)


class Killed(BaseException):
    """The process is gone; nothing more is saved."""


class Album:
    """Keeps snapshots, as files would be: a second one of the same step takes the first one's place."""

    def __init__(self) -> None:
        self.weights: dict[int, dict[str, Tensor]] = {}
        self.calls: list[int] = []

    def __call__(self, step: int, weights: Any) -> None:
        self.calls.append(step)
        self.weights[step] = dict(weights)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Album)
            and self.weights.keys() == other.weights.keys()
            and all(
                torch.equal(tensor, other.weights[step][name])
                for step, weights in self.weights.items()
                for name, tensor in weights.items()
            )
        )

    __hash__ = None  # type: ignore[assignment]


@pytest.fixture(scope="module")
def undisturbed() -> Album:
    album = Album()
    run_toy(schedule=SCHEDULE, on_snapshot=album)
    return album


def test_they_are_taken_at_their_steps_and_change_nothing(undisturbed: Album) -> None:
    assert undisturbed.calls == list(AT)
    assert run_toy(schedule=SCHEDULE) == run_toy()


@pytest.mark.parametrize("step", AT)
def test_each_is_what_a_training_of_that_length_leaves_behind(undisturbed: Album, step: int) -> None:
    shorter = run_toy(schedule=toy_schedule(num_steps=step))
    assert undisturbed.weights[step].keys() == shorter.weights.keys()
    assert all(torch.equal(undisturbed.weights[step][name], p) for name, p in shorter.weights.items())


def test_buffers_are_part_of_them() -> None:
    model, album = toy_model(), Album()
    model.head.register_buffer("frequencies", torch.arange(3.0))
    train(model, ToyStep(), toy_images(), SCHEDULE, seed=0, on_snapshot=album)
    assert torch.equal(album.weights[3]["head.frequencies"], torch.arange(3.0))


def test_the_checkpoint_of_its_step_is_not_yet_saved(tmp_path: Path) -> None:
    """Otherwise a kill between the two would lose the snapshot: the run would go on after it."""
    folder = CheckpointFolder(tmp_path / "checkpoints")
    newest: dict[int, int] = {}

    def look(step: int, weights: Any) -> None:
        state = folder.load_newest()
        newest[step] = 0 if state is None else state["progress"]["step"]

    run_toy(schedule=SCHEDULE, checkpoints=folder, on_snapshot=look)
    assert newest == {3: 0, 5: 0, 9: 5, 13: 10}


@pytest.mark.parametrize("killed_at", [3, 4, 5, 6, 9, 11, 13])
def test_a_kill_at_any_moment_loses_none(tmp_path: Path, undisturbed: Album, killed_at: int) -> None:
    folder, album = CheckpointFolder(tmp_path), Album()

    def on_step(step: int) -> None:  # called before the step's snapshot
        if step == killed_at:
            raise Killed

    with pytest.raises(Killed):
        run_toy(schedule=SCHEDULE, checkpoints=folder, on_snapshot=album, on_step=on_step)
    run_toy(schedule=SCHEDULE, checkpoints=folder, on_snapshot=album)
    assert album == undisturbed


@pytest.mark.parametrize("killed_at", AT)
def test_a_kill_while_one_is_written_repeats_it(tmp_path: Path, undisturbed: Album, killed_at: int) -> None:
    folder, album = CheckpointFolder(tmp_path), Album()

    def die(step: int, weights: Any) -> None:
        if step == killed_at:
            raise Killed
        album(step, weights)

    with pytest.raises(Killed):
        run_toy(schedule=SCHEDULE, checkpoints=folder, on_snapshot=die)
    run_toy(schedule=SCHEDULE, checkpoints=folder, on_snapshot=album)
    assert album == undisturbed


def test_a_request_to_stop_at_its_step_loses_none(tmp_path: Path, undisturbed: Album) -> None:
    folder, album, finished = CheckpointFolder(tmp_path), Album(), [0]
    with pytest.raises(TrainingInterruptedError):
        run_toy(
            schedule=SCHEDULE,
            checkpoints=folder,
            on_snapshot=album,
            on_step=lambda step: finished.__setitem__(0, step),
            should_stop=lambda: finished[0] == 9,
        )
    assert album.calls == [3, 5, 9]
    run_toy(schedule=SCHEDULE, checkpoints=folder, on_snapshot=album)
    assert album.calls == list(AT)
    assert album == undisturbed
