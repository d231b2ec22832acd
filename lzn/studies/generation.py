"""Case study 1 (section 3): rectified flow, with or without latents of an LZN encoder as an extra condition.

With a class as condition, the same model is the conditional rectified flow, the baseline of case study 3.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lzn.base.randomness import BatchRandom
from lzn.networks import LatentEncoder, VelocityUNet
from lzn.rectified_flow import path
from lzn.rectified_flow.ode import Sampler
from lzn.rectified_flow.path import interpolate, rectified_flow_loss, training_times
from lzn.studies.latent_sampling import LatentSampler
from lzn.training import Anchors, Batch, Coupled, Losses, StepInParts


class GenerativeModel(nn.Module):
    """A rectified-flow decoder, and for RF+LZN the encoder of its latents."""

    def __init__(self, decoder: VelocityUNet, encoder: LatentEncoder | None = None) -> None:
        super().__init__()
        self.decoder = decoder
        self.encoder = encoder


Velocity = Callable[[Any, Tensor, Tensor, Tensor | None, Any], Tensor]
"""Maps (model, x_t, t, latents, batch) to the velocity of the samples x_t (b, ...) at times t (b,), of their shape.

Latents are (b, q), or None without an encoder. The batch has the same samples: conditions are read from it.
"""


def images_of(batch: Batch) -> Tensor:
    """Return the images (b, c, h, w) of a batch."""
    return batch.images


def anchors_of_images(model: Any, batch: Batch) -> Tensor:
    """Return the anchors (b, q) that ``model.encoder`` computes from the images."""
    anchors: Tensor = model.encoder(batch.images)
    return anchors


def velocity_from_latents(
    model: Any, x_t: Tensor, t: Tensor, latents: Tensor | None, batch: object
) -> Tensor:
    """Return the velocity of ``model.decoder(x_t, t, latents)``; ``latents`` is None without an encoder."""
    velocity: Tensor = model.decoder(x_t, t, latents)
    return velocity


def velocity_from_latents_and_classes(
    model: Any, x_t: Tensor, t: Tensor, latents: Tensor | None, batch: Batch
) -> Tensor:
    """Return the velocity of ``model.decoder(x_t, t, latents, one_hot)``, a `VelocityUNet` with classes."""
    velocity: Tensor = model.decoder(x_t, t, latents, one_hot_for(model.decoder, batch.labels))
    return velocity


@dataclass(frozen=True)
class PathSamples:
    """Samples with noise and times. A step draws them first, so that RF and RF+LZN have the same noise and times.

    Attributes:
        batch: the samples as they were loaded.
        data: the data of these samples that is generated, (b, ...).
        noise: standard normal, of the shape of ``data``.
        t: times, (b,).
    """

    batch: Any
    data: Tensor
    noise: Tensor
    t: Tensor

    @staticmethod
    def draw(batch: Any, data: Tensor, random: BatchRandom) -> "PathSamples":
        """Draw noise and times for samples with ``data`` (b, ...)."""
        return PathSamples(batch, data, random.normal(*data.shape[1:]), training_times(random.uniform()))

    def loss(self, velocity: Velocity, model: Any, latents: Tensor | None) -> Tensor:
        """Compute the mean squared error of the model's velocity, given latents (b, q) or None."""
        x_t = interpolate(self.data, self.noise, self.t)
        return rectified_flow_loss(velocity(model, x_t, self.t, latents, self.batch), self.data, self.noise)


@dataclass(frozen=True)
class GenerationStep(StepInParts[PathSamples]):
    """Training step of RF (algorithm 1, ``latents`` is None) and of RF+LZN (algorithm 2), for data of any shape.

    The defaults are for batches of images and a model with the attributes ``decoder`` and, for RF+LZN, ``encoder``.

    Attributes:
        latents: draws latents of the batch; None for RF.
        data: returns the data (b, ...) of a batch that is generated.
        encoder: maps (model, batch) to anchors (b, q); not called for RF.
        velocity: the decoder.
    """

    latents: LatentSampler | None
    data: Callable[[Any], Tensor] = images_of
    encoder: Callable[[Any, Any], Tensor] = anchors_of_images
    velocity: Velocity = velocity_from_latents

    def prepare(self, batch: Any, random: BatchRandom) -> PathSamples:
        """Draw noise and times."""
        return PathSamples.draw(batch, self.data(batch), random)

    def encode(self, model: Any, samples: PathSamples) -> Anchors:
        """Compute the anchors of the data."""
        return () if self.latents is None else (self.encoder(model, samples.batch),)

    def couple(self, model: Any, samples: PathSamples, anchors: Anchors, random: BatchRandom) -> Coupled:
        """Draw latents."""
        return Coupled() if self.latents is None else Coupled(self.latents(anchors[0], random))

    def decode(self, model: Any, samples: PathSamples, latents: Tensor | None) -> Losses:
        """Compute the rectified flow loss."""
        return Losses(samples.loss(self.velocity, model, latents))


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


def velocity_of(decoder: VelocityUNet, latents: Tensor | None, labels: Tensor | None) -> path.Velocity:
    """Return the velocity for one batch's latents (b, q) and labels (b,), as samplers call it.

    Raises:
        ValueError: the decoder needs labels, and ``labels`` is None.
    """
    one_hot = one_hot_for(decoder, labels)
    return lambda x, t: decoder(x, t, latents, one_hot)


@torch.no_grad()
def generate(velocity: path.Velocity, noise: Tensor, *, sampler: Sampler) -> Tensor:
    """Solve the flow from noise to data (algorithms 3, 4, 7 and 8), all samples in one batch.

    An adaptive sampler has one step size for the batch.

    Args:
        velocity: maps x (b, ...) and t (b,) to the velocity of x; its networks are in evaluation mode.
        noise: standard normal (b, ...).
        sampler: solver of the ODE.

    Returns:
        Samples (b, ...); images are in [-1, 1] up to the solver's error.
    """
    return sampler.integrate(velocity, noise, t_start=path.T_MIN, t_end=1.0).x
