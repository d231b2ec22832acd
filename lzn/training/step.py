"""What a case study gives to the training loop: a function of (model, batch, random) that returns losses."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from torch import Tensor, nn

from lzn.base.parallel import BatchShare
from lzn.base.randomness import BatchRandom

Model_contra = TypeVar("Model_contra", bound=nn.Module, contravariant=True)


@dataclass(frozen=True)
class Batch:
    """Images (b, c, h, w) in [-1, 1] and their labels (b,).

    Where views are made as images are loaded, ``images`` are those: (b, views, c, h, w).

    Attributes:
        images: of the samples that this process holds.
        labels: of the same.
        share: which rows of the global batch they are.
    """

    images: Tensor
    labels: Tensor
    share: BatchShare

    @staticmethod
    def whole(images: Tensor, labels: Tensor) -> "Batch":
        """A global batch in one process."""
        return Batch(images, labels, BatchShare.whole(len(images)))


@dataclass(frozen=True)
class Losses:
    """The scalar to minimise, and named scalars to watch (detached): means over the samples of a batch."""

    total: Tensor
    watched: Mapping[str, Tensor] = field(default_factory=dict)


class TrainingStep(Protocol[Model_contra]):
    """One training step of a study; all of its randomness comes from ``random``, but for dropout's."""

    def __call__(self, model: Model_contra, batch: Batch, random: BatchRandom) -> Losses:
        """Losses of ``model`` on ``batch``: means over the samples that this process holds.

        Whatever these samples are, all processes gather the same things in the same order.
        """
