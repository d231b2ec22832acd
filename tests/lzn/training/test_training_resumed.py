"""Trainings that are interrupted, killed or find damaged checkpoints end as if nothing had happened, bit for bit."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from lzn_testing.models.toy_training import (
    Outcome,
    ToyModel,
    ToyStep,
    outcome_of,
    run_toy,
    toy_images,
    toy_model,
    toy_schedule,
)

from lzn.base.randomness import BatchRandom
from lzn.training import (
    Batch,
    CheckpointFolder,
    CurvePoint,
    Losses,
    TrainingDivergedError,
    TrainingInterruptedError,
    train,
)

NAN = float("nan")
NUM_STEPS = 13  # points of the curve after 4, 8, 12 and 13, checkpoints after 5, 10 and 13


class Killed(BaseException):
    """The process is gone; nothing is saved."""


def stop_when(condition: Callable[[int], bool]) -> dict[str, Callable[..., object]]:
    """Settings of `train` that ask it to stop once ``condition`` holds of the number of finished steps."""
    finished = [0]
    return {
        "on_step": lambda step: finished.__setitem__(0, step),
        "should_stop": lambda: condition(finished[0]),
    }


def interrupt(
    folder: CheckpointFolder, *, after: int, step: ToyStep | None = None, **settings: object
) -> None:
    with pytest.raises(TrainingInterruptedError, match=f"stopped after step {after} of {NUM_STEPS}"):
        run_toy(step, checkpoints=folder, **stop_when(lambda finished: finished == after), **settings)


def kill(folder: CheckpointFolder, *, after: int) -> None:
    def on_step(step: int) -> None:
        if step == after:
            raise Killed

    with pytest.raises(Killed):
        run_toy(checkpoints=folder, on_step=on_step)


@pytest.fixture(scope="module")
def undisturbed() -> Outcome:
    return run_toy()


@pytest.fixture
def folder(tmp_path: Path) -> CheckpointFolder:
    return CheckpointFolder(tmp_path / "checkpoints")


def test_saving_changes_nothing(folder: CheckpointFolder, undisturbed: Outcome) -> None:
    assert run_toy(checkpoints=folder) == undisturbed


@pytest.mark.parametrize("after", range(1, NUM_STEPS))
def test_a_training_interrupted_after_any_step_ends_as_the_undisturbed_one(
    folder: CheckpointFolder, undisturbed: Outcome, after: int
) -> None:
    interrupt(folder, after=after)
    torch.manual_seed(999)  # another process has another global generator
    rest = ToyStep(first_step=after)
    assert run_toy(rest, checkpoints=folder) == undisturbed
    assert rest.calls == NUM_STEPS  # no step was computed twice


def test_a_training_interrupted_after_every_step_ends_as_the_undisturbed_one(
    folder: CheckpointFolder, undisturbed: Outcome
) -> None:
    for after in range(1, NUM_STEPS):
        interrupt(folder, after=after)
    assert run_toy(checkpoints=folder) == undisturbed


@pytest.mark.parametrize("after", [2, 5, 7, 11])
def test_a_training_killed_between_checkpoints_ends_as_the_undisturbed_one(
    folder: CheckpointFolder, undisturbed: Outcome, after: int
) -> None:
    kill(folder, after=after)
    assert run_toy(checkpoints=folder) == undisturbed


def test_several_kills_and_interruptions_change_nothing(
    folder: CheckpointFolder, undisturbed: Outcome
) -> None:
    kill(folder, after=7)
    interrupt(folder, after=6)
    kill(folder, after=8)
    kill(folder, after=12)
    assert run_toy(checkpoints=folder) == undisturbed


def test_the_initial_weights_of_a_resumed_training_do_not_matter(
    folder: CheckpointFolder, undisturbed: Outcome
) -> None:
    interrupt(folder, after=6)
    model = toy_model(seed=77)
    result = train(model, ToyStep(), toy_images(), toy_schedule(), seed=0, checkpoints=folder)
    assert outcome_of(model, result) == undisturbed


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def flip_a_bit(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def remove_the_digest(file: Path) -> None:
    file.with_suffix(".sha256").unlink()


@pytest.mark.parametrize("damage", [truncate, flip_a_bit, remove_the_digest])
def test_with_a_damaged_newest_checkpoint_the_one_before_is_used_with_a_warning(
    folder: CheckpointFolder, undisturbed: Outcome, damage: Callable[[Path], None]
) -> None:
    kill(folder, after=11)
    damage(folder.path / "step_000000010.pt")
    rest = ToyStep(first_step=5)
    with pytest.warns(UserWarning, match=r"step_000000010.pt is damaged; using the one before"):
        assert run_toy(rest, checkpoints=folder) == undisturbed
    assert rest.calls == NUM_STEPS


def test_with_all_checkpoints_damaged_training_starts_again(
    folder: CheckpointFolder, undisturbed: Outcome
) -> None:
    kill(folder, after=11)
    for file in folder.path.glob("*.pt"):
        truncate(file)
    with pytest.warns(UserWarning, match="is damaged"):
        assert run_toy(checkpoints=folder) == undisturbed


@pytest.mark.parametrize("after", [5, 6, 8])
def test_skipped_steps_are_remembered(folder: CheckpointFolder, after: int) -> None:
    bad = dict.fromkeys((1, 4, 5, 7), NAN)
    expected = run_toy(ToyStep(bad))
    interrupt(folder, after=after, step=ToyStep(bad))
    resumed = run_toy(ToyStep(bad, first_step=after), checkpoints=folder)
    assert resumed == expected
    assert resumed.num_skipped_steps == 4


def test_bad_steps_in_a_row_are_counted_across_an_interruption(folder: CheckpointFolder) -> None:
    bad = dict.fromkeys((5, 6, 7, 8), NAN)
    schedule = toy_schedule(max_bad_steps=4)
    interrupt(folder, after=7, step=ToyStep(bad), schedule=schedule)
    with pytest.raises(TrainingDivergedError, match="4 steps in a row, by step 10"):
        run_toy(ToyStep(bad, first_step=7), schedule=schedule, checkpoints=folder)


@pytest.mark.parametrize("after", [3, 6, 9])
def test_frozen_parts_stay_frozen(folder: CheckpointFolder, after: int) -> None:
    schedule = toy_schedule(freeze_after={"encoder": 6})
    expected = run_toy(schedule=schedule)
    interrupt(folder, after=after, schedule=schedule)
    assert run_toy(schedule=schedule, checkpoints=folder) == expected


def test_a_finished_training_started_again_computes_nothing(
    folder: CheckpointFolder, undisturbed: Outcome
) -> None:
    run_toy(checkpoints=folder)
    rest = ToyStep()
    assert run_toy(rest, checkpoints=folder) == undisturbed
    assert rest.calls == 0


def test_a_request_to_stop_in_the_last_step_comes_too_late(
    folder: CheckpointFolder, undisturbed: Outcome
) -> None:
    last = stop_when(lambda finished: finished == NUM_STEPS)
    assert run_toy(checkpoints=folder, **last) == undisturbed


def test_without_a_folder_an_interrupted_training_just_stops() -> None:
    with pytest.raises(TrainingInterruptedError):
        run_toy(**stop_when(lambda finished: finished == 3))


def test_checkpoints_are_saved_when_due_and_the_curve_is_reported_after_each(
    folder: CheckpointFolder,
) -> None:
    on_disk: list[tuple[str, int]] = []

    def on_checkpoint(curve: tuple[CurvePoint, ...]) -> None:
        on_disk.append((max(folder.path.glob("*.pt")).stem, len(curve)))

    run_toy(checkpoints=folder, on_checkpoint=on_checkpoint)
    assert on_disk == [("step_000000005", 1), ("step_000000010", 2), ("step_000000013", 4)]


def test_a_resumed_training_reports_the_curve_of_before_with_its_times(folder: CheckpointFolder) -> None:
    reported: list[tuple[CurvePoint, ...]] = []
    with pytest.raises(TrainingInterruptedError):
        run_toy(
            checkpoints=folder, on_checkpoint=reported.append, **stop_when(lambda finished: finished == 9)
        )
    run_toy(checkpoints=folder, on_checkpoint=reported.append)
    assert reported[-1][:2] == reported[1]
    assert [point.step for point in reported[-1]] == [4, 8, 12, 13]


def test_a_kill_between_checkpoint_and_report_loses_no_point_of_the_curve(folder: CheckpointFolder) -> None:
    def die(curve: tuple[CurvePoint, ...]) -> None:
        if len(curve) == 4:
            raise Killed

    with pytest.raises(Killed):
        run_toy(checkpoints=folder, on_checkpoint=die)
    reported: list[tuple[CurvePoint, ...]] = []
    run_toy(checkpoints=folder, on_checkpoint=reported.append)
    assert [point.step for point in reported[-1]] == [4, 8, 12, 13]


def test_a_full_disk_stops_training_with_what_to_do_and_the_next_one_resumes(
    folder: CheckpointFolder, undisturbed: Outcome
) -> None:
    kill(folder, after=6)
    (folder.path / "step_000000010.partial").symlink_to("/dev/full")
    with pytest.raises(
        OSError, match="No space left on device; make room for it and start the same command again"
    ):
        run_toy(checkpoints=folder)
    rest = ToyStep(first_step=5)
    assert run_toy(rest, checkpoints=folder) == undisturbed
    assert rest.calls == NUM_STEPS


def test_a_step_may_not_reach_into_the_next(folder: CheckpointFolder) -> None:
    """Randomness that a step draws from torch's global generator, beyond dropout's, is bound to the step as well."""

    def step(model: ToyModel, batch: Batch, random: BatchRandom) -> Losses:
        losses = ToyStep()(model, batch, random)
        return Losses(losses.total * (1 + torch.rand(())), losses.watched)

    expected = run_toy(step)
    with pytest.raises(TrainingInterruptedError):
        run_toy(step, checkpoints=folder, **stop_when(lambda finished: finished == 7))
    assert run_toy(step, checkpoints=folder) == expected
