"""The training loop, which is the same for all studies: the order of steps, reports, checkpoints and the end."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import nn

from lzn.base.parallel import BatchShare, Processes
from lzn.base.randomness import BatchRandom, derive_seed, generator_for
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
    bit for bit), because the randomness of a step depends only on (seed, step). The number of processes may change.

    Args:
        model: model whose children are the parameter groups of the optimiser, by name.
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
        ValueError: ``schedule`` or ``compute`` does not match the model, the data or the number of processes.
    """
    share = processes.share_of(schedule.batch_size)
    state = _initial_state(model, schedule, processes, device=device, compute=compute, checkpoints=checkpoints)
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
        randomness = _StepRandomness(seed, share, dropout, device)
        for batch in batches:

            def losses(batch: Batch = batch) -> Losses:
                random = randomness.begin_step(state.progress.step)
                with compute.autocast(device):
                    return compute_losses(model, batch, random)

            _take_step(state, schedule, share, losses)
            reports.after_step()
    return _finish(state, schedule)


def _initial_state(
    model: nn.Module,
    schedule: TrainingSchedule,
    processes: Processes,
    *,
    device: torch.device | str,
    compute: Compute,
    checkpoints: CheckpointFolder | None,
) -> TrainingState:
    """Set up the model, and return the state before the first step or of the newest checkpoint."""
    compute.prepare(model)
    model.to(device=device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    state = TrainingState.new(model, schedule, processes, device=device)
    if checkpoints is not None:
        state.restore(checkpoints, processes)
    return state
