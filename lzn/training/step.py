"""The interface between a case study and the training loop: a function of (model, batch, random) to losses.

Samples of a batch have an effect on each other only through their anchors. A `StepInParts` is a training step that
says so: it encodes samples, couples all of them (latents, alignment), and decodes them. The loop can then encode and
decode a few samples at a time (`lzn.training.micro_batches`).
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from torch import Tensor, nn

from lzn.base.randomness import BatchRandom

Model_contra = TypeVar("Model_contra", bound=nn.Module, contravariant=True)
AnySamples = TypeVar("AnySamples")


@dataclass(frozen=True)
class Batch:
    """Images and labels of the samples of a batch that this process holds: the batches of the case studies.

    Attributes:
        images: (b, c, h, w) in [-1, 1]; (b, views, c, h, w) if views are made at loading.
        labels: int64 (b,).
    """

    images: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Losses:
    """The scalar to minimise, and detached scalars for the curve by name; means over the samples of a batch."""

    total: Tensor
    metrics: Mapping[str, Tensor] = field(default_factory=dict)

    def __add__(self, other: "Losses") -> "Losses":
        """Add the losses of the same samples. Metrics of one name are added too."""
        metrics = dict(self.metrics)
        for name, value in other.metrics.items():
            metrics[name] = metrics[name] + value if name in metrics else value
        return Losses(self.total + other.total, metrics)


class TrainingStep(Protocol[Model_contra]):
    """The training step of a study; its random numbers come from ``random``, except those of dropout."""

    def __call__(self, model: Model_contra, batch: Any, random: BatchRandom) -> Losses:
        """Compute the losses of ``model`` on ``batch``, means over the samples that this process holds.

        ``random.share`` says which rows of the global batch these samples are. All processes must call the same
        collective operations in the same order, for any samples.
        """


Anchors = tuple[Tensor, ...]
"""Anchors (b, q) of samples, one tensor for each kind of data (two for two views); empty if nothing is encoded."""


@dataclass(frozen=True)
class Coupled:
    """What the anchors of a whole batch give.

    Attributes:
        latents: latents (b, q) of the samples, for `StepInParts.decode`; or None.
        losses: losses that need no decoder (the alignment); or None.
    """

    latents: Tensor | None = None
    losses: Losses | None = None


class StepInParts(ABC, Generic[AnySamples]):
    """A training step of three parts: encode samples, couple all anchors of the batch, decode samples.

    `prepare` and `couple` are called once in a step, with all samples of this process. `encode` and `decode` are called
    with all samples or with some of them, and `encode` may be called twice. So they must treat each sample
    independently, and draw no random numbers (`lzn.networks.SampleDropout` has keys for each sample).
    """

    @abstractmethod
    def prepare(self, batch: Any, random: BatchRandom) -> AnySamples:
        """Return all that `encode` and `decode` need: nested dictionaries or dataclasses of tensors (b, ...)."""

    @abstractmethod
    def encode(self, model: Any, samples: AnySamples) -> Anchors:
        """Compute the anchors of samples."""

    @abstractmethod
    def couple(self, model: Any, samples: AnySamples, anchors: Anchors, random: BatchRandom) -> Coupled:
        """Compute latents and alignment of all samples. Only this part may call collective operations."""

    @abstractmethod
    def decode(self, model: Any, samples: AnySamples, latents: Tensor | None) -> Losses | None:
        """Compute the losses of samples, means over them, given their latents (b, q); None if nothing is decoded."""

    def __call__(self, model: Any, batch: Any, random: BatchRandom) -> Losses:
        """Compute the losses of all samples at once.

        Raises:
            ValueError: neither `couple` nor `decode` returns losses.
        """
        samples = self.prepare(batch, random)
        coupled = self.couple(model, samples, self.encode(model, samples), random)
        return sum_of_losses(coupled.losses, self.decode(model, samples, coupled.latents))


def sum_of_losses(coupled: Losses | None, decoded: Losses | None) -> Losses:
    """Add the losses of two parts of a step; each may be None.

    Raises:
        ValueError: both are None.
    """
    if coupled is None and decoded is None:
        raise ValueError("the training step has no loss: couple or decode must return one")
    if coupled is None or decoded is None:
        return decoded or coupled  # type: ignore[return-value]
    return coupled + decoded
