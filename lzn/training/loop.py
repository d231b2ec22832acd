"""The training loop, which is the same for all studies: the order of steps, reports, checkpoints and the end."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from lzn.base.parallel import Processes
from lzn.base.randomness import derive_seed, seeded_global_generator
from lzn.training.batches import BatchesFromStep, training_batches
from lzn.training.callbacks import TrainingCallbacks
from lzn.training.checkpoints import CheckpointFolder
from lzn.training.compute import Compute
from lzn.training.gradients import gradients_of
from lzn.training.optimisation import apply_schedule, update
from lzn.training.progress import CurvePoint, TrainingDivergedError
from lzn.training.schedule import TrainingSchedule
from lzn.training.state import TrainingState
from lzn.training.step import Losses, TrainingStep

AnyModel = TypeVar("AnyModel", bound=nn.Module)


class TrainingInterruptedError(Exception):
    """The run was stopped by ``should_stop``. The message names the step; the checkpoint of this step is saved."""


@dataclass(frozen=True)
class TrainingResult:
    """Result of a training; the averaged weights are in the model.

    Attributes:
        curve: the training curve.
        num_skipped_steps: number of steps with a non-finite loss or gradient.
        raw_weights: the state dict of the model after the last step, with raw parameters instead of averages.
    """

    curve: tuple[CurvePoint, ...]
    num_skipped_steps: int
    raw_weights: Mapping[str, Tensor]


def train(
    model: AnyModel,
    step: TrainingStep[AnyModel],
    batches: Iterable[Any] | BatchesFromStep,
    schedule: TrainingSchedule,
    *,
    seed: int,
    processes: Processes = Processes(),  # noqa: B008 - immutable
    device: torch.device | str = "cpu",
    compute: Compute = Compute(),  # noqa: B008 - immutable
    checkpoints: CheckpointFolder | None = None,
    callbacks: TrainingCallbacks = TrainingCallbacks(),  # noqa: B008 - immutable
) -> TrainingResult:
    """Train ``model`` in place on ``device``, and replace its parameters by their averages.

    A run with ``checkpoints`` resumes from the newest good one. With the same batches, the result is the same as
    without interruption (on CPU bit for bit), because the randomness of a step depends only on (seed, step). The number
    of processes may change; the number of steps and the reports too: a finished training with more steps is prolonged.

    Args:
        model: any module. Its parameters have the learning rates that ``schedule`` gives to its parts.
        step: training step: a function of (model, batch, random) to losses, or a `StepInParts`.
        batches: an iterable of batches, which are dictionaries or dataclasses of tensors (b, ...). It is iterated again
            when it ends. Several processes each give their own rows of the global batch, in the order of their ranks
            (`Processes.share_of`). `ImageBatches` are shared by this function.
        schedule: numbers of the run.
        seed: seed of noise, augmentation and dropout.
        processes: the training processes; each calls this function with the same arguments.
        compute: precision, compilation, recomputation and micro-batches; the model keeps them.

    Raises:
        TrainingInterruptedError: ``callbacks.should_stop`` returned True.
        TrainingDivergedError: the loss was not finite in too many steps in a row, or in all steps.
        OSError: a checkpoint cannot be written.
        ValueError: ``schedule`` or ``compute`` does not match the model, the step, the batches or the number of
            processes; or the seed or the schedule differs from the checkpoint's in what changes the parameters.
    """
    processes.barrier()  # their preparations may take different times
    state = _initial_state(
        model, schedule, processes, seed=seed, device=device, compute=compute, checkpoints=checkpoints
    )
    reports = _Reports(state, schedule, processes, checkpoints, callbacks)
    reports.before_first_step()
    chosen = training_batches(
        batches, schedule, first_step=state.progress.step, device=device, processes=processes
    )
    gradients = gradients_of(
        model, step, compute, batch_size=schedule.batch_size, seed=seed, device=device, processes=processes
    )
    with closing(chosen), gradients as add_gradients:
        for batch in chosen:
            number = state.progress.step
            with seeded_global_generator(derive_seed(seed, "global", number), device):
                _take_step(state, schedule, processes, partial(add_gradients, batch, number))
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


def _take_step(
    state: TrainingState,
    schedule: TrainingSchedule,
    processes: Processes,
    add_gradients: Callable[[], Losses],
) -> None:
    apply_schedule(state.model, state.optimizer, schedule, state.progress.step)
    result = update(
        state.model,
        state.optimizer,
        add_gradients,
        share=processes.share_of(schedule.batch_size),
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
        self.processes.barrier()

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
        if reading or stopping or step in self.schedule.snapshot_steps:
            # Wait for what process 0 writes: a collective operation has a time limit, and an exception of one process
            # ends the others.
            self.processes.barrier()
        if stopping:
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
    raw_weights = {name: tensor.detach().clone() for name, tensor in state.model.state_dict().items()}
    state.ema.copy_to(state.model)
    return TrainingResult(tuple(progress.curve), progress.totals.num_skipped, raw_weights)
