"""The training loop, which is the same for all studies: the order of steps, reports, checkpoints and the end."""

from contextlib import closing
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import nn

from lzn.base.parallel import BatchShare, Processes
from lzn.base.randomness import BatchRandom, derive_seed, generator_for, seeded_global_generator
from lzn.data import ImageSet, SampleViews
from lzn.networks import DropoutKeys, keyed_dropout
from lzn.training.batches import training_batches
from lzn.training.callbacks import TrainingCallbacks
from lzn.training.checkpoints import CheckpointFolder
from lzn.training.compute import Compute
from lzn.training.optimisation import apply_schedule, update
from lzn.training.progress import CurvePoint, TrainingDivergedError
from lzn.training.schedule import TrainingSchedule
from lzn.training.state import TrainingState
from lzn.training.step import Batch, Losses, TrainingStep

AnyModel = TypeVar("AnyModel", bound=nn.Module)


class TrainingInterruptedError(Exception):
    """The run was stopped by ``should_stop``. The message names the step; the checkpoint of this step is saved."""


@dataclass(frozen=True)
class TrainingResult:
    """The curve and the number of skipped steps of a training."""

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
    callbacks: TrainingCallbacks = TrainingCallbacks(),  # noqa: B008 - immutable
) -> TrainingResult:
    """Train ``model`` in place on ``device``, and replace its parameters by their averages.

    A run with ``checkpoints`` resumes from the newest good one. The result is the same as without interruption (on CPU
    bit for bit), because the randomness of a step depends only on (seed, step). The number of processes may change; the
    number of steps and the reports too: a finished training with more steps is prolonged.

    Args:
        model: model whose children, and parameters directly on it, are the parameter groups of the optimiser, by name.
        compute_losses: training step of the study.
        data: training images.
        schedule: numbers of the run.
        seed: seed of batches, noise, augmentation and dropout.
        processes: the training processes; each calls this function with the same arguments.
        compute: precision, compilation and recomputation; the model keeps them.
        num_workers, views: see `lzn.data.load_batches`.

    Raises:
        TrainingInterruptedError: ``callbacks.should_stop`` returned True.
        TrainingDivergedError: the loss was not finite in too many steps in a row, or in all steps.
        OSError: a checkpoint cannot be written.
        ValueError: ``schedule`` or ``compute`` does not match the model, the data or the number of processes; or the
            seed or the schedule differs from the checkpoint's in what changes the parameters.
    """
    share = processes.share_of(schedule.batch_size)
    state = _initial_state(
        model, schedule, processes, seed=seed, device=device, compute=compute, checkpoints=checkpoints
    )
    reports = _Reports(state, schedule, processes, checkpoints, callbacks)
    reports.before_first_step()
    batches = training_batches(
        data,
        schedule,
        seed=seed,
        first_step=state.progress.step,
        device=device,
        num_workers=num_workers,
        views=views,
        processes=processes,
    )
    with closing(batches), keyed_dropout(model, share.count, device) as dropout:
        losses = _LossFunction(model, compute_losses, compute, seed, device, dropout)
        for batch in batches:
            _take_step(state, schedule, batch, losses)
            reports.after_step()
    return _finish(state, schedule)


def _initial_state(
    model: nn.Module,
    schedule: TrainingSchedule,
    processes: Processes,
    *,
    seed: int,
    device: torch.device | str,
    compute: Compute,
    checkpoints: CheckpointFolder | None,
) -> TrainingState:
    """Set up the model, and return the state before the first step or of the newest checkpoint."""
    compute.prepare(model)
    model.to(device=device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    state = TrainingState.new(model, schedule, processes, seed=seed, device=device)
    if checkpoints is not None:
        state.restore(checkpoints, processes, schedule)
    return state


@dataclass(frozen=True)
class _LossFunction(Generic[AnyModel]):
    """Computes the losses of a batch with the random numbers of its step."""

    model: AnyModel
    compute_losses: TrainingStep[AnyModel]
    compute: Compute
    seed: int
    device: torch.device | str
    dropout: DropoutKeys

    def __call__(self, batch: Batch, step: int) -> Losses:
        self.dropout.draw(self._random("dropout", step, batch.share))
        with self.compute.autocast(self.device):
            return self.compute_losses(self.model, batch, self._random("step", step, batch.share))

    def _random(self, purpose: str, step: int, share: BatchShare) -> BatchRandom:
        return BatchRandom(generator_for(self.seed, purpose, step, device=self.device), share)


def _take_step(
    state: TrainingState, schedule: TrainingSchedule, batch: Batch, losses: _LossFunction[AnyModel]
) -> None:
    step = state.progress.step
    apply_schedule(state.model, state.optimizer, schedule, step)
    with seeded_global_generator(derive_seed(losses.seed, "global", step), losses.device):
        result = update(
            state.model,
            state.optimizer,
            lambda: losses(batch, step),
            share=batch.share,
            max_gradient_norm=schedule.max_gradient_norm,
        )
    state.finish_step(result)


@dataclass(frozen=True)
class _Reports:
    """Calls the callbacks and saves the checkpoints that are due."""

    state: TrainingState
    schedule: TrainingSchedule
    processes: Processes
    checkpoints: CheckpointFolder | None
    callbacks: TrainingCallbacks

    def before_first_step(self) -> None:
        self.callbacks.on_step(self.state.progress.step)
        if self.state.progress.curve and self.processes.is_first:
            self.callbacks.on_curve(tuple(self.state.progress.curve))

    def after_step(self) -> None:
        """Report the step that is finished, and end the run if it must stop.

        Raises:
            TrainingInterruptedError: ``should_stop`` returned True.
        """
        step = self.state.progress.step
        self.callbacks.on_step(step)
        saving = self.schedule.is_due(step, every=self.schedule.checkpoint_every)
        reading = saving or self.schedule.is_due(step, every=self.schedule.log_every)
        stopping = self._must_stop(reading=reading) and step < self.schedule.num_steps
        if step in self.schedule.snapshot_steps and self.processes.is_first:
            self.callbacks.on_snapshot(step, self.state.ema.averaged_state(self.state.model))
        if reading or stopping:
            self.state.read_totals(self.schedule)
        if (stopping or saving) and self.processes.is_first and self.checkpoints is not None:
            self.state.save(self.checkpoints)
        if (reading or stopping) and self.processes.is_first:
            self.callbacks.on_curve(tuple(self.state.progress.curve))
        if stopping:
            self.processes.barrier()  # the exception of one process ends the others: wait for the checkpoint
            raise TrainingInterruptedError(f"stopped after step {step} of {self.schedule.num_steps}")

    def _must_stop(self, *, reading: bool) -> bool:
        """Return whether to stop after this step. Several processes agree only in steps that read the totals."""
        if self.processes.count == 1:
            return self.callbacks.should_stop()
        return reading and self.processes.any_true(self.callbacks.should_stop(), device=self.state.device)


def _finish(state: TrainingState, schedule: TrainingSchedule) -> TrainingResult:
    """Replace the model's parameters by their averages, and return the result."""
    progress = state.progress
    if not progress.curve:
        raise TrainingDivergedError(
            f"none of {schedule.num_steps} steps had a finite loss; lower the learning rates"
        )
    state.ema.copy_to(state.model)
    return TrainingResult(tuple(progress.curve), progress.totals.num_skipped)
