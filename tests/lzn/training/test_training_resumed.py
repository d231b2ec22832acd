"""Interrupted, killed and resumed trainings give the same result as uninterrupted ones, bit for bit."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from lzn_testing.data.damaged_files import flip_a_bit, remove_the_digest, truncate
from lzn_testing.models.toy_training import (
    Outcome,
    ToyModel,
    ToyStep,
    outcome_of,
    run_toy,
    toy_batches,
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
    TrainingSchedule,
    train,
)

NAN = float("nan")
NUM_STEPS = 13  # points of the curve after 4, 8, 12 and 13, checkpoints after 5, 10 and 13


class Killed(BaseException):
    """Simulates a killed process, which saves nothing more."""


def stop_when(condition: Callable[[int], bool]) -> dict[str, Callable[..., object]]:
    """Return callbacks that stop a training when ``condition`` is true for the number of finished steps."""
    finished = [0]
    return {
        "on_step": lambda step: finished.__setitem__(0, step),
        "should_stop": lambda: condition(finished[0]),
    }


def interrupt(
    folder: CheckpointFolder,
    *,
    after: int,
    step: ToyStep | None = None,
    schedule: TrainingSchedule | None = None,
) -> None:
    with pytest.raises(TrainingInterruptedError, match=f"stopped after step {after} of {NUM_STEPS}"):
        run_toy(
            step,
            checkpoints=folder,
            schedule=schedule or toy_schedule(),
            **stop_when(lambda finished: finished == after),
        )


def kill(folder: CheckpointFolder, *, after: int) -> None:
    def on_step(step: int) -> None:
        if step == after:
            raise Killed

    with pytest.raises(Killed):
        run_toy(checkpoints=folder, on_step=on_step)


@pytest.fixture(scope="module")
def uninterrupted() -> Outcome:
    return run_toy()


@pytest.fixture
def folder(tmp_path: Path) -> CheckpointFolder:
    return CheckpointFolder(tmp_path / "checkpoints")


def test_saving_checkpoints_does_not_change_the_result(
    folder: CheckpointFolder, uninterrupted: Outcome
) -> None:
    assert run_toy(checkpoints=folder) == uninterrupted


@pytest.mark.parametrize("after", range(1, NUM_STEPS))
def test_a_training_interrupted_after_any_step_gives_the_same_result(
    folder: CheckpointFolder, uninterrupted: Outcome, after: int
) -> None:
    interrupt(folder, after=after)
    torch.manual_seed(999)  # another process has another global generator
    rest = ToyStep(first_step=after)
    assert run_toy(rest, checkpoints=folder) == uninterrupted
    assert rest.calls == NUM_STEPS  # each step was computed once


def test_a_training_interrupted_after_every_step_gives_the_same_result(
    folder: CheckpointFolder, uninterrupted: Outcome
) -> None:
    for after in range(1, NUM_STEPS):
        interrupt(folder, after=after)
    assert run_toy(checkpoints=folder) == uninterrupted


@pytest.mark.parametrize("after", [2, 5, 7, 11])
def test_a_training_killed_between_checkpoints_gives_the_same_result(
    folder: CheckpointFolder, uninterrupted: Outcome, after: int
) -> None:
    kill(folder, after=after)
    assert run_toy(checkpoints=folder) == uninterrupted


def test_several_kills_and_interruptions_give_the_same_result(
    folder: CheckpointFolder, uninterrupted: Outcome
) -> None:
    kill(folder, after=7)
    interrupt(folder, after=6)
    kill(folder, after=8)
    kill(folder, after=12)
    assert run_toy(checkpoints=folder) == uninterrupted


def test_a_resumed_training_does_not_depend_on_the_initial_weights(
    folder: CheckpointFolder, uninterrupted: Outcome
) -> None:
    interrupt(folder, after=6)
    model = toy_model(seed=77)
    result = train(model, ToyStep(), toy_batches(), toy_schedule(), seed=0, checkpoints=folder)
    assert outcome_of(model, result) == uninterrupted


@pytest.mark.parametrize("damage", [truncate, flip_a_bit, remove_the_digest])
def test_a_training_resumes_from_the_checkpoint_before_a_damaged_one_with_a_warning(
    folder: CheckpointFolder, uninterrupted: Outcome, damage: Callable[[Path], None]
) -> None:
    kill(folder, after=11)
    damage(folder.path / "step_000000010.pt")
    rest = ToyStep(first_step=5)
    with pytest.warns(UserWarning, match=r"step_000000010.pt is damaged; the one before is used"):
        assert run_toy(rest, checkpoints=folder) == uninterrupted
    assert rest.calls == NUM_STEPS


def test_a_training_whose_checkpoints_are_all_damaged_starts_again(
    folder: CheckpointFolder, uninterrupted: Outcome
) -> None:
    kill(folder, after=11)
    for file in folder.path.glob("*.pt"):
        truncate(file)
    with pytest.warns(UserWarning, match="is damaged"):
        assert run_toy(checkpoints=folder) == uninterrupted


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learning_rates": {"encoder": 1e-2, "head": 3e-2}}, r"learning_rates=.*'head': 0.02.*'head': 0.03"),
        ({"batch_size": 4}, "batch_size=8, now 4"),
        ({"warmup_steps": 5}, "warmup_steps=3, now 5"),
        ({"ema_decay": 0.95}, "ema_decay=0.9, now 0.95"),
        ({"max_gradient_norm": 2.0}, "max_gradient_norm=1.0, now 2.0"),
        ({"random_flips": True}, "random_flips=False, now True"),
        ({"freeze_after": {"encoder": 9}}, "freeze_after={}, now {'encoder': 9}"),
    ],
)
def test_a_training_does_not_resume_with_other_settings_that_shape_it(
    folder: CheckpointFolder, changes: dict[str, object], message: str
) -> None:
    interrupt(folder, after=6)
    with pytest.raises(ValueError, match=f"checkpoint of step 6 has {message}"):
        run_toy(checkpoints=folder, schedule=toy_schedule(**changes))


def test_a_training_does_not_resume_with_another_seed(folder: CheckpointFolder) -> None:
    interrupt(folder, after=6)
    with pytest.raises(ValueError, match="checkpoint of step 6 has seed=0, now 1"):
        run_toy(checkpoints=folder, seed=1)


@pytest.mark.parametrize("after", [5, 6, 8])
def test_a_resumed_training_keeps_the_number_of_skipped_steps(folder: CheckpointFolder, after: int) -> None:
    bad = dict.fromkeys((1, 4, 5, 7), NAN)
    expected = run_toy(ToyStep(bad))
    interrupt(folder, after=after, step=ToyStep(bad))
    resumed = run_toy(ToyStep(bad, first_step=after), checkpoints=folder)
    assert resumed == expected
    assert resumed.num_skipped_steps == 4


def test_bad_steps_in_a_row_before_and_after_an_interruption_are_added(folder: CheckpointFolder) -> None:
    bad = dict.fromkeys((5, 6, 7, 8), NAN)
    schedule = toy_schedule(max_bad_steps=4)
    interrupt(folder, after=7, step=ToyStep(bad), schedule=schedule)
    with pytest.raises(TrainingDivergedError, match="4 steps in a row, up to step 10"):
        run_toy(ToyStep(bad, first_step=7), schedule=schedule, checkpoints=folder)


@pytest.mark.parametrize("after", [3, 6, 9])
def test_frozen_parts_are_frozen_in_a_resumed_training(folder: CheckpointFolder, after: int) -> None:
    schedule = toy_schedule(freeze_after={"encoder": 6})
    expected = run_toy(schedule=schedule)
    interrupt(folder, after=after, schedule=schedule)
    assert run_toy(schedule=schedule, checkpoints=folder) == expected


def test_a_finished_training_started_again_computes_nothing(
    folder: CheckpointFolder, uninterrupted: Outcome
) -> None:
    run_toy(checkpoints=folder)
    rest = ToyStep()
    assert run_toy(rest, checkpoints=folder) == uninterrupted
    assert rest.calls == 0


def test_a_stop_in_the_last_step_has_no_effect(folder: CheckpointFolder, uninterrupted: Outcome) -> None:
    last = stop_when(lambda finished: finished == NUM_STEPS)
    assert run_toy(checkpoints=folder, **last) == uninterrupted


def test_a_training_without_checkpoints_can_be_stopped() -> None:
    with pytest.raises(TrainingInterruptedError):
        run_toy(**stop_when(lambda finished: finished == 3))


def test_the_curve_is_reported_at_each_point_and_after_each_checkpoint(folder: CheckpointFolder) -> None:
    reported: list[tuple[int, int]] = []

    def on_curve(curve: tuple[CurvePoint, ...]) -> None:
        saved = [int(file.stem.removeprefix("step_")) for file in folder.path.glob("*.pt")]
        reported.append((max(saved, default=0), curve[-1].step))

    run_toy(checkpoints=folder, on_curve=on_curve)
    assert reported == [(0, 4), (5, 4), (5, 8), (10, 8), (10, 12), (13, 13)]


def test_a_resumed_training_reports_the_earlier_points_of_the_curve_with_their_times(
    folder: CheckpointFolder,
) -> None:
    before: list[tuple[CurvePoint, ...]] = []
    reported: list[tuple[CurvePoint, ...]] = []
    with pytest.raises(TrainingInterruptedError):
        run_toy(checkpoints=folder, on_curve=before.append, **stop_when(lambda finished: finished == 9))
    run_toy(checkpoints=folder, on_curve=reported.append)
    assert reported[0] == before[-1] == reported[-1][:2]
    assert [point.step for point in reported[-1]] == [4, 8, 12, 13]


def test_a_kill_between_checkpoint_and_report_loses_no_point_of_the_curve(folder: CheckpointFolder) -> None:
    def die(curve: tuple[CurvePoint, ...]) -> None:
        if len(curve) == 4:
            raise Killed

    with pytest.raises(Killed):
        run_toy(checkpoints=folder, on_curve=die)
    reported: list[tuple[CurvePoint, ...]] = []
    run_toy(checkpoints=folder, on_curve=reported.append)
    assert [point.step for point in reported[-1]] == [4, 8, 12, 13]


def test_the_error_for_a_full_disk_says_what_to_do_and_the_next_training_resumes(
    folder: CheckpointFolder, uninterrupted: Outcome
) -> None:
    kill(folder, after=6)
    (folder.path / "step_000000010.partial").symlink_to("/dev/full")
    with pytest.raises(
        OSError, match="No space left on device; free disk space and start the same command again"
    ):
        run_toy(checkpoints=folder)
    rest = ToyStep(first_step=5)
    assert run_toy(rest, checkpoints=folder) == uninterrupted
    assert rest.calls == NUM_STEPS


def test_the_global_generator_of_a_step_does_not_depend_on_earlier_steps(folder: CheckpointFolder) -> None:
    """A training step can use PyTorch's global generator; its seed depends only on the step."""

    def step(model: ToyModel, batch: Batch, random: BatchRandom) -> Losses:
        losses = ToyStep()(model, batch, random)
        return Losses(losses.total * (1 + torch.rand(())), losses.metrics)

    expected = run_toy(step)
    with pytest.raises(TrainingInterruptedError):
        run_toy(step, checkpoints=folder, **stop_when(lambda finished: finished == 7))
    assert run_toy(step, checkpoints=folder) == expected
