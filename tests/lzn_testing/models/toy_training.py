"""A training of milliseconds with two parts of the model, dropout, noise and two classes."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lzn.base.randomness import BatchRandom
from lzn.data import ImageSet
from lzn.networks import SampleDropout
from lzn.training import (
    Batch,
    CheckpointFolder,
    ImageBatches,
    Losses,
    TrainingCallbacks,
    TrainingResult,
    TrainingSchedule,
    train,
)

SCHEDULE = TrainingSchedule(
    num_steps=13,
    batch_size=8,
    learning_rates={"encoder": 1e-2, "head": 2e-2},
    warmup_steps=3,
    ema_decay=0.9,
    log_every=4,
    checkpoint_every=5,
)


class ToyModel(nn.Module):
    """A classifier with two parts, which have different learning rates."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.SiLU(), SampleDropout(0.3))
        self.head = nn.Linear(8, 2)


class ToyStep:
    """Cross entropy of noisy images.

    Attributes:
        loss_factors: factors of the loss, keyed by step; a step with NaN is skipped.
        calls: number of computed steps.
    """

    def __init__(self, loss_factors: dict[int, float] | None = None, *, first_step: int = 0) -> None:
        self.loss_factors = loss_factors or {}
        self.calls = first_step

    def __call__(self, model: ToyModel, batch: Batch, random: BatchRandom) -> Losses:
        noisy = batch.images + 0.1 * random.normal(*batch.images.shape[1:])
        logits = model.head(model.encoder(noisy))
        factor = self.loss_factors.get(self.calls, 1.0)
        self.calls += 1
        metrics = {"mean_logit": logits.detach().mean()}
        return Losses(factor * functional.cross_entropy(logits, batch.labels), metrics)


@dataclass(frozen=True)
class Outcome:
    """Results of a training that must be equal bit for bit after any interruption."""

    weights: dict[str, Tensor]
    curve: list[tuple[int, dict[str, float]]]
    num_skipped_steps: int

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Outcome)
            and (self.curve, self.num_skipped_steps) == (other.curve, other.num_skipped_steps)
            and self.weights.keys() == other.weights.keys()
            and all(torch.equal(tensor, other.weights[name]) for name, tensor in self.weights.items())
        )

    __hash__ = None  # type: ignore[assignment]


def toy_model(seed: int = 0) -> ToyModel:
    torch.manual_seed(seed)
    return ToyModel()


def toy_images(num: int = 40) -> ImageSet:
    """Make images of two classes. Class 1 is brighter in its left half, class 0 in its right half."""
    generator = np.random.default_rng(0)
    labels = np.arange(num, dtype=np.int64) % 2
    images = generator.integers(0, 120, (num, 1, 4, 4), dtype=np.uint8)
    images[labels == 1, :, :, :2] += 100
    images[labels == 0, :, :, 2:] += 100
    return ImageSet(images, labels)


def toy_batches(schedule: TrainingSchedule = SCHEDULE, *, seed: int = 0) -> ImageBatches:
    return ImageBatches(data=toy_images(), schedule=schedule, seed=seed)


def toy_schedule(**changes: Any) -> TrainingSchedule:
    return replace(SCHEDULE, **changes)


def outcome_of(model: nn.Module, result: TrainingResult) -> Outcome:
    weights = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    return Outcome(weights, [(point.step, point.values) for point in result.curve], result.num_skipped_steps)


def run_toy(
    step: Callable[[ToyModel, Batch, BatchRandom], Losses] | None = None,
    *,
    schedule: TrainingSchedule = SCHEDULE,
    seed: int = 0,
    num_workers: int = 0,
    checkpoints: CheckpointFolder | None = None,
    **callbacks: Any,
) -> Outcome:
    """Train a new toy model. ``callbacks`` are the attributes of `TrainingCallbacks`."""
    model = toy_model()
    result = train(
        model,
        step or ToyStep(),
        ImageBatches(data=toy_images(), schedule=schedule, seed=seed, num_workers=num_workers),
        schedule,
        seed=seed,
        checkpoints=checkpoints,
        callbacks=TrainingCallbacks(**callbacks),
    )
    return outcome_of(model, result)
