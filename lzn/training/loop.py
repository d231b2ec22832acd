"""The loop over training steps, the same for all studies: it owns the order of things and nothing of the study."""

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from lzn.base.parallel import BatchShare, Processes
from lzn.base.randomness import BatchRandom, derive_seed, generator_for
from lzn.data import ImageSet, SampleViews
from lzn.networks import keyed_dropout
from lzn.training.checkpoints import CheckpointFolder
from lzn.training.compute import Compute
from lzn.training.feeding import training_batches
from lzn.training.optimisation import apply_schedule, update
from lzn.training.progress import CurvePoint, TrainingDivergedError
from lzn.training.schedule import TrainingSchedule
from lzn.training.state import TrainingState
from lzn.training.step import Batch, Losses, TrainingStep

AnyModel = TypeVar("AnyModel", bound=nn.Module)


class TrainingInterruptedError(Exception):
    """The run was asked to stop; a checkpoint holds everything up to the step it names."""


@dataclass(frozen=True)
class TrainingResult:
    """How the training went; what it leaves behind is the model, its parameters replaced by their averages."""

    curve: tuple[CurvePoint, ...]
    num_skipped_steps: int


def train(
    model: AnyModel,
    compute_losses: TrainingStep[AnyModel],
    data: ImageSet,
    schedule: TrainingSchedule,
    *,
    seed: int,
    processes: Processes = Processes(),  # noqa: B008 - immutable
    device: torch.device | str = "cpu",
    compute: Compute = Compute(),  # noqa: B008 - immutable
    num_workers: int = 0,
    views: SampleViews | None = None,
    checkpoints: CheckpointFolder | None = None,
    on_step: Callable[[int], object] = lambda step: None,
    on_checkpoint: Callable[[tuple[CurvePoint, ...]], None] = lambda curve: None,
    on_snapshot: Callable[[int, Mapping[str, Tensor]], None] = lambda step, weights: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> TrainingResult:
    """Train ``model`` in place and leave its averaged parameters in it.

    With ``checkpoints`` the run resumes from the newest good one, and ends as it would have ended without the
    interruption: on CPU bit for bit, since the randomness of each step depends on (seed, step) alone. The number of
    processes may be another one, which changes the order of sums and nothing else: what is drawn for a sample does not
    depend on who holds it.

    The host does not wait for the device but every ``schedule.log_every`` steps and for checkpoints. So a divergence
    is found up to ``schedule.log_every`` steps late; its steps have changed nothing.

    Args:
        model: its children are the optimiser's parameter groups, by name.
        compute_losses: the study's training step.
        data: training images; those of a batch are converted to [-1, 1].
        schedule: numbers of the run.
        seed: of batches, noise, augmentation and dropout.
        processes: those that train together; each calls this, with the same arguments. Callbacks other than ``on_step``
            and ``should_stop`` are called in the first alone.
        device: where to train.
        compute: precision, compilation and checkpointing of activations; all three stay set up in the model.
        num_workers: processes that load images; 0 loads them in this one. The batches are the same.
        views: what is made of each image as it is loaded; without, the image itself.
        checkpoints: where to save; nothing is saved without.
        on_step: called with the number of finished steps after each.
        on_checkpoint: called with the curve so far whenever a checkpoint is due, after it is safe on disk, and once
            where a run resumes, since the process before may have ended between the two.
        on_snapshot: called with the step and copies of the averaged weights (and of buffers: a whole state dict of
            the model) after each of ``schedule.snapshot_steps``, before that step's checkpoint is saved; so a process
            that is killed in between loses none, but may be given the same one again.
        should_stop: asked after each step; True saves a checkpoint and raises. With several processes asked every
            ``schedule.log_every`` steps and at checkpoints; all stop if one says so.

    Raises:
        TrainingInterruptedError: ``should_stop`` said so.
        TrainingDivergedError: ``schedule.max_bad_steps`` non-finite losses in a row, or no finite loss at all.
        OSError: a checkpoint cannot be written.
        ValueError: the schedule or ``compute`` does not fit the model, the data or the number of processes.
    """
    share = processes.share_of(schedule.batch_size)
    compute.prepare(model)
    model.to(device=device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    state = TrainingState.new(model, schedule, processes, device=device)
    if checkpoints is not None:
        state.restore(checkpoints, processes)
    progress = state.progress
    on_step(progress.step)
    if progress.curve and processes.is_first:
        on_checkpoint(tuple(progress.curve))

    batches = training_batches(
        data,
        schedule,
        seed=seed,
        first_step=progress.step,
        device=device,
        num_workers=num_workers,
        views=views,
        processes=processes,
    )
    with closing(batches), keyed_dropout(model, share.count, device) as dropout:

        def losses_of(batch: Batch) -> Losses:
            torch.manual_seed(derive_seed(seed, "global", progress.step))
            dropout.draw(_draws(seed, "dropout", progress.step, share, device))
            with compute.autocast(device):
                return compute_losses(model, batch, _draws(seed, "step", progress.step, share, device))

        for batch in batches:
            _take_step(state, schedule, batch, losses_of)
            step = progress.step
            on_step(step)
            saving = schedule.is_due(step, every=schedule.checkpoint_every)
            reading = saving or schedule.is_due(step, every=schedule.log_every)
            stopping = _agreed(should_stop, processes, reading, device) and step < schedule.num_steps
            if step in schedule.snapshot_steps and processes.is_first:
                on_snapshot(step, state.ema.averaged_state(model))
            if reading or stopping:
                state.read_totals(schedule)
            if (stopping or saving) and processes.is_first:
                if checkpoints is not None:
                    state.save(checkpoints)
                on_checkpoint(tuple(progress.curve))
            if stopping:
                processes.wait_for_all()  # an end with an error ends the others, before the checkpoint is saved
                raise TrainingInterruptedError(f"stopped after step {step} of {schedule.num_steps}")

    if not progress.curve:
        raise TrainingDivergedError(
            f"none of {schedule.num_steps} steps had a finite loss; lower the learning rates"
        )
    state.ema.copy_to(model)
    return TrainingResult(tuple(progress.curve), progress.totals.num_skipped)


def _draws(seed: int, purpose: str, step: int, share: BatchShare, device: torch.device | str) -> BatchRandom:
    return BatchRandom(generator_for(seed, purpose, step, device=device), share)


def _agreed(
    should_stop: Callable[[], bool], processes: Processes, reading: bool, device: torch.device | str
) -> bool:
    """Is this the step to stop after? Several processes ask each other only where they wait for the device anyway."""
    if processes.count == 1:
        return should_stop()
    return reading and processes.any_says(should_stop(), device=device)


def _take_step(
    state: TrainingState, schedule: TrainingSchedule, batch: Batch, losses_of: Callable[[Batch], Losses]
) -> None:
    apply_schedule(state.model, state.optimizer, schedule, state.progress.step)
    outcome = update(
        state.model,
        state.optimizer,
        lambda: losses_of(batch),
        share=batch.share,
        max_gradient_norm=schedule.max_gradient_norm,
    )
    state.finish_step(outcome)
