"""Case study 1 (section 3): rectified flow, with or without latents of an LZN encoder as an extra condition.

With a class as condition, the same model is the conditional rectified flow, the baseline of case study 3.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from lzn.base.randomness import BatchRandom
from lzn.flow import Solver, compute_latents
from lzn.networks import LatentEncoder, VelocityUNet
from lzn.rectified_flow.ode import Sampler
from lzn.rectified_flow.path import T_MIN, Velocity, interpolate, rectified_flow_loss, sample_times
from lzn.training import Batch, Losses


@dataclass(frozen=True, kw_only=True)
class LatentSampler:
    """Draws latents from the zones of a batch, with a solver and the concentration ``alpha`` (Eq. 4)."""

    solver: Solver
    alpha: float = 1.0

    def __call__(self, anchors: Tensor, random: BatchRandom) -> Tensor:
        """Draw latents (b, q) of this process's samples, with anchors (b, q), among the anchors of the global batch."""
        noise = random.normal(anchors.shape[1])
        rows = None
        if random.share.processes.count > 1:
            # In float64: the gradients of a row from all processes are summed before they are rounded.
            anchors, rows = random.share.gather(anchors.double()), random.share.rows
        return compute_latents(anchors, noise, rows=rows, alpha=self.alpha, solver=self.solver)

    def with_alpha(self, alpha: float) -> "LatentSampler":
        """Return the same sampler with another concentration."""
        return replace(self, alpha=alpha)


class GenerativeModel(nn.Module):
    """A rectified-flow decoder, and for RF+LZN the encoder of its latents."""

    def __init__(self, decoder: VelocityUNet, encoder: LatentEncoder | None = None) -> None:
        super().__init__()
        self.decoder = decoder
        self.encoder = encoder


@dataclass(frozen=True)
class GenerationStep:
    """Training step of RF (algorithm 1: no encoder, ``latents`` is None) and of RF+LZN (algorithm 2)."""

    latents: LatentSampler | None

    def __call__(self, model: GenerativeModel, batch: Batch, random: BatchRandom) -> Losses:
        """Compute the rectified flow loss of one batch."""
        path_sample = PathSample.draw(batch.images, random)
        latent = None
        if self.latents is not None and model.encoder is not None:
            latent = self.latents(model.encoder(batch.images), random)
        return Losses(path_sample.loss(model.decoder, latent, batch.labels))


@dataclass(frozen=True)
class PathSample:
    """Images with noise and times. A step draws it first, so that RF and RF+LZN have the same noise and times."""

    images: Tensor
    noise: Tensor
    t: Tensor

    @staticmethod
    def draw(images: Tensor, random: BatchRandom) -> "PathSample":
        """Draw noise and times for images (b, c, h, w)."""
        return PathSample(images, random.normal(*images.shape[1:]), sample_times(random))

    def loss(self, decoder: VelocityUNet, latent: Tensor | None, labels: Tensor) -> Tensor:
        """Compute the mean squared error of the decoder's velocity, given latents (b, q) or None and labels (b,)."""
        x_t = interpolate(self.images, self.noise, self.t)
        velocity = decoder(x_t, self.t, latent, one_hot_for(decoder, labels))
        return rectified_flow_loss(velocity, self.images, self.noise)


def one_hot_for(decoder: VelocityUNet, labels: Tensor | None) -> Tensor | None:
    """Return the one-hot classes (b, c) that ``decoder`` needs, or None if it needs none.

    Raises:
        ValueError: the decoder needs labels, and ``labels`` is None.
    """
    if decoder.num_classes == 0:
        return None
    if labels is None:
        raise ValueError("this decoder is conditioned on the class: give labels")
    return functional.one_hot(labels, decoder.num_classes).float()


def velocity_of(decoder: VelocityUNet, latent: Tensor | None, labels: Tensor | None) -> Velocity:
    """Return the velocity for one batch's latents (b, q) and labels (b,)."""
    one_hot = one_hot_for(decoder, labels)
    return lambda x, t: decoder(x, t, latent, one_hot)


@torch.no_grad()
def generate_images(
    decoder: VelocityUNet,
    *,
    latents: Tensor | None,
    labels: Tensor | None,
    noise: Tensor,
    sampler: Sampler,
) -> Tensor:
    """Solve the flow from noise to images (algorithms 3, 4, 7 and 8), all images in one batch.

    An adaptive sampler has one step size for the batch.

    Args:
        decoder: in evaluation mode.
        latents: (b, q), or None for RF.
        labels: (b,), or None for unconditional decoders.
        noise: standard normal (b, c, h, w).
        sampler: solver of the ODE.

    Returns:
        Images (b, c, h, w), in [-1, 1] up to the solver's error.
    """
    velocity = velocity_of(decoder, latents, labels)
    return sampler.integrate(velocity, noise, t_start=T_MIN, t_end=1.0).x
