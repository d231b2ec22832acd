"""The loop over training steps, the same for all studies."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from lzn.data import ImageSet, batch_indices, dequantise, random_flips
from lzn.ema import ExponentialMovingAverage
from lzn.flow import NonFiniteAnchorsError
from lzn.randomness import derive_seed, generator_for
from lzn.training.checkpoints import CheckpointFolder
from lzn.training.schedule import TrainingSchedule
from lzn.training.step import Batch, Losses, TrainingStep

AnyModel = TypeVar("AnyModel", bound=nn.Module)


class TrainingInterruptedError(Exception):
    """The run was asked to stop; a checkpoint holds everything up to the step it names."""


class TrainingDivergedError(RuntimeError):
    """Too many steps in a row had a non-finite loss."""


@dataclass(frozen=True)
class CurvePoint:
    """Means of the watched values over the steps since the last point.

    Attributes:
        step: finished steps.
        values: means by name.
        unix_time: seconds, when the point was made; not part of the result, which is the same in every repetition.
    """

    step: int
    values: dict[str, float]
    unix_time: float


@dataclass(frozen=True)
class TrainingResult:
    """What training leaves behind: the model, its parameters replaced by their averages, and how it went."""

    curve: tuple[CurvePoint, ...]
    num_skipped_steps: int


@dataclass
class _Progress:
    """Everything but tensors that a checkpoint has to hold."""

    step: int = 0
    num_skipped: int = 0
    num_bad_in_a_row: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    num_summed: int = 0
    curve: list[CurvePoint] = field(default_factory=list)

    def state_dict(self) -> dict[str, Any]:
        return {**vars(self), "curve": [vars(point) for point in self.curve]}

    @staticmethod
    def from_state_dict(state: dict[str, Any]) -> "_Progress":
        return _Progress(**{**state, "curve": [CurvePoint(**point) for point in state["curve"]]})

    def add(self, losses: Losses) -> None:
        self.num_bad_in_a_row = 0
        self.num_summed += 1
        for name, value in {"loss": losses.total.detach(), **losses.watched}.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(value)

    def skip(self, max_bad_steps: int) -> None:
        self.num_skipped += 1
        self.num_bad_in_a_row += 1
        if self.num_bad_in_a_row >= max_bad_steps:
            raise TrainingDivergedError(
                f"the loss was not finite in {max_bad_steps} steps in a row, up to step {self.step}; lower the "
                "learning rates or lengthen warmup_steps, then start again"
            )

    def close_point(self) -> None:
        values = {name: total / self.num_summed for name, total in self.sums.items()}
        values["skipped_steps"] = float(self.num_skipped)
        self.curve.append(CurvePoint(self.step, values, unix_time=time.time()))
        self.sums, self.num_summed = {}, 0


def train(
    model: AnyModel,
    compute_losses: TrainingStep[AnyModel],
    data: ImageSet,
    schedule: TrainingSchedule,
    *,
    seed: int,
    device: torch.device | str = "cpu",
    checkpoints: CheckpointFolder | None = None,
    on_step: Callable[[int], object] = lambda step: None,
    on_checkpoint: Callable[[tuple[CurvePoint, ...]], None] = lambda curve: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> TrainingResult:
    """Train ``model`` in place and leave its averaged parameters in it.

    With ``checkpoints`` the run resumes from the newest good one, and ends as it would have ended without the
    interruption: on CPU bit for bit, since the randomness of each step depends on (seed, step) alone.

    Args:
        model: its children are the optimiser's parameter groups, by name.
        compute_losses: the study's training step.
        data: training images; those of a batch are converted to [-1, 1].
        schedule: numbers of the run.
        seed: of batches, noise, augmentation and dropout.
        device: where to train.
        checkpoints: where to save; nothing is saved without.
        on_step: called with the number of finished steps after each.
        on_checkpoint: called with the curve so far whenever a checkpoint is due, after it is safe on disk, and once
            where a run resumes, since the process before may have ended between the two.
        should_stop: asked after each step; True saves a checkpoint and raises.

    Raises:
        TrainingInterruptedError: ``should_stop`` said so.
        TrainingDivergedError: ``schedule.max_bad_steps`` non-finite losses in a row, or no finite loss at all.
        OSError: a checkpoint cannot be written.
        ValueError: the schedule does not fit the model or the data.
    """
    model.to(device=device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    optimizer = _build_optimizer(model, schedule)
    ema = ExponentialMovingAverage(model, decay=schedule.ema_decay)
    progress = _restore(checkpoints, model, optimizer, ema, device)
    on_step(progress.step)
    if progress.curve:
        on_checkpoint(tuple(progress.curve))

    def save() -> None:
        if checkpoints is not None:
            checkpoints.save(progress.step, _state(model, optimizer, ema, progress))
        on_checkpoint(tuple(progress.curve))

    while progress.step < schedule.num_steps:
        step = progress.step
        _freeze(model, schedule, step)
        for group in optimizer.param_groups:
            group["lr"] = group["base_lr"] * schedule.warmup_factor(step)
        batch = _load_batch(data, schedule, step=step, seed=seed, device=device)
        torch.manual_seed(derive_seed(seed, "dropout", step))
        generator = generator_for(seed, "step", step, device=device)
        losses = _update(
            model,
            optimizer,
            partial(compute_losses, model, batch, generator),
            max_gradient_norm=schedule.max_gradient_norm,
        )
        progress.step += 1
        if losses is None:
            progress.skip(schedule.max_bad_steps)
        else:
            ema.update(model)
            progress.add(losses)
        if progress.num_summed and (
            progress.step % schedule.log_every == 0 or progress.step == schedule.num_steps
        ):
            progress.close_point()
        on_step(progress.step)
        stopping = should_stop() and progress.step < schedule.num_steps
        if stopping or progress.step % schedule.checkpoint_every == 0 or progress.step == schedule.num_steps:
            save()
        if stopping:
            raise TrainingInterruptedError(f"stopped after step {progress.step} of {schedule.num_steps}")

    if not progress.curve:
        raise TrainingDivergedError(
            f"none of {schedule.num_steps} steps had a finite loss; lower the learning rates"
        )
    ema.copy_to(model)
    return TrainingResult(tuple(progress.curve), progress.num_skipped)


def _update(
    model: AnyModel,
    optimizer: torch.optim.Optimizer,
    losses_of_model: Callable[[], Losses],
    *,
    max_gradient_norm: float,
) -> Losses | None:
    """One optimiser step, or None (and the parameters as they were) where loss or gradient is not finite."""
    optimizer.zero_grad(set_to_none=True)
    try:
        losses = losses_of_model()
    except NonFiniteAnchorsError:
        return None
    if not math.isfinite(float(losses.total.detach())):
        return None
    losses.total.backward()  # type: ignore[no-untyped-call]
    norm = nn.utils.clip_grad_norm_(model.parameters(), max_gradient_norm)
    if not math.isfinite(float(norm)):
        return None
    optimizer.step()
    return losses


def _build_optimizer(model: nn.Module, schedule: TrainingSchedule) -> torch.optim.Optimizer:
    children = {
        name: child for name, child in model.named_children() if any(True for _ in child.parameters())
    }
    if set(children) != set(schedule.learning_rates):
        raise ValueError(
            f"learning_rates must name the model's parts {sorted(children)}, got {sorted(schedule.learning_rates)}"
        )
    groups = [
        {
            "params": list(child.parameters()),
            "lr": schedule.learning_rates[name],
            "base_lr": schedule.learning_rates[name],
        }
        for name, child in children.items()
    ]
    return torch.optim.Adam(groups, fused=True)


def _freeze(model: nn.Module, schedule: TrainingSchedule, step: int) -> None:
    for name, last_step in schedule.freeze_after.items():
        if step >= last_step:
            model.get_submodule(name).requires_grad_(False)


def _load_batch(
    data: ImageSet, schedule: TrainingSchedule, *, step: int, seed: int, device: torch.device | str
) -> Batch:
    indices = batch_indices(step, num_samples=len(data), batch_size=schedule.batch_size, seed=seed).numpy()
    images = dequantise(data.images[indices])
    if schedule.random_flips:
        images = random_flips(images, generator_for(seed, "flips", step))
    labels = torch.from_numpy(np.ascontiguousarray(data.labels[indices]))
    return Batch(images.to(device, memory_format=torch.channels_last), labels.to(device))


def _state(
    model: nn.Module, optimizer: torch.optim.Optimizer, ema: ExponentialMovingAverage, progress: _Progress
) -> dict[str, Any]:
    return {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "ema": ema.state_dict(),
        "progress": progress.state_dict(),
        "random_state": torch.get_rng_state(),
    }


def _restore(
    checkpoints: CheckpointFolder | None,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    ema: ExponentialMovingAverage,
    device: torch.device | str,
) -> _Progress:
    state = None if checkpoints is None else checkpoints.load_newest(device=device)
    if state is None:
        return _Progress()
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    ema.load_state_dict(state["ema"])
    random_state: Tensor = state["random_state"]
    torch.set_rng_state(random_state.cpu())
    return _Progress.from_state_dict(state["progress"])
