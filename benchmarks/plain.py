"""A plain training step, with literal latents and without optimisations.

Networks, solver, losses and clipping are those of `lzn.training`. The flow is computed as its formulas are written,
Adam has its defaults, averages are updated parameter by parameter, losses are read in each step, tensors have the
default memory format, and no batch is loaded ahead.
"""

import time
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.literal import literal_alignment, literal_flow, literal_latents
from benchmarks.measuring import backward
from lzn.data import ImageSet, dequantise
from lzn.flow import Adams
from lzn.rectified_flow.path import interpolate, rectified_flow_loss, training_times
from lzn.runs.configuration import GenerationRun, JointRun
from lzn.studies import LatentSampler


class LossOf(Protocol):
    """The loss of a model on a batch."""

    def __call__(self, model: Any, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Return the loss, a scalar, of images (b, c, h, w) in [-1, 1] and labels (b,)."""


@dataclass(frozen=True)
class PlainGeneration:
    """Loss of rectified flow with latents (algorithm 2)."""

    run: GenerationRun

    def __call__(self, model: Any, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Return the rectified flow loss."""
        assert self.run.latent is not None
        anchors = model.encoder(images)
        noise = torch.randn(anchors.shape, generator=generator)
        latents = _latents(anchors, noise, self.run.latent.build())
        return _rectified_flow(model.decoder, images, latents, None, generator)


@dataclass(frozen=True)
class PlainJoint:
    """Loss of the alignment with label anchors and of conditional rectified flow (algorithm 6)."""

    run: JointRun

    def __call__(self, model: Any, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Return the weighted sum of both losses."""
        run = self.run
        anchors = model.encoder(images)
        noise = torch.randn(anchors.shape, generator=generator)
        latents = _latents(anchors, noise, run.latent.build())
        solver = run.alignment.solver.build()
        assert not isinstance(solver, Adams)
        points = model.label_anchors.points
        one_hot = functional.one_hot(labels, len(points)).float()
        result = literal_flow(latents, points, targets=labels, weights=one_hot.mean(dim=0), solver=solver)
        assert result.target_log_probability is not None
        alignment = literal_alignment(
            result.target_log_probability, num_skipped_steps=run.alignment.num_skipped_steps, log=False
        )
        alignment.item()
        rectified_flow = _rectified_flow(model.decoder, images, latents, one_hot, generator)
        return run.alignment_weight * alignment + rectified_flow


def seconds_of_plain_steps(run: GenerationRun | JointRun, data: ImageSet, *, num_steps: int) -> list[float]:
    """Train for ``num_steps`` steps. Return the seconds of each.

    Raises:
        RuntimeError: a loss is not finite.
    """
    model = run.build_model(num_classes=10).train()
    compute_loss: LossOf = PlainGeneration(run) if isinstance(run, GenerationRun) else PlainJoint(run)
    training = run.training
    groups = [
        {"params": list(model.get_submodule(name).parameters()), "lr": rate}
        for name, rate in training.learning_rates.items()
    ]
    optimizer = torch.optim.Adam(groups)
    averages = [p.detach().clone() for p in model.parameters()]
    generator = torch.Generator().manual_seed(run.seed)
    seconds = []
    for _ in range(num_steps):
        start = time.perf_counter()
        chosen = torch.randperm(len(data), generator=generator)[: training.batch_size].numpy()
        images, labels = dequantise(data.images[chosen]), torch.from_numpy(data.labels[chosen])
        loss = compute_loss(model, images, labels, generator)
        optimizer.zero_grad()
        backward(loss)
        nn.utils.clip_grad_norm_(model.parameters(), training.max_gradient_norm)
        optimizer.step()
        with torch.no_grad():
            for average, parameter in zip(averages, model.parameters(), strict=True):
                average.mul_(training.ema_decay).add_(parameter, alpha=1 - training.ema_decay)
        if not loss.isfinite().item():
            raise RuntimeError(f"the plain step's loss is {loss.item()}")
        seconds.append(time.perf_counter() - start)
    return seconds


def _latents(anchors: Tensor, noise: Tensor, sampler: LatentSampler) -> Tensor:
    assert not isinstance(sampler.solver, Adams)  # not in the paper, so there is no literal version
    return literal_latents(anchors, noise, alpha=sampler.alpha, solver=sampler.solver)


def _rectified_flow(
    decoder: nn.Module, images: Tensor, latents: Tensor, one_hot: Tensor | None, generator: torch.Generator
) -> Tensor:
    noise = torch.randn(images.shape, generator=generator)
    t = training_times(torch.rand(len(images), generator=generator))
    velocity = decoder(interpolate(images, noise, t), t, latents, one_hot)
    return rectified_flow_loss(velocity, images, noise)
