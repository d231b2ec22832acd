"""The interface between a case study and the training loop: a function of (model, batch, random) to losses."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from torch import Tensor, nn

from lzn.base.parallel import BatchShare
from lzn.base.randomness import BatchRandom

Model_contra = TypeVar("Model_contra", bound=nn.Module, contravariant=True)


@dataclass(frozen=True)
class Batch:
    """The samples of a batch that this process holds.

    Attributes:
        images: (b, c, h, w) in [-1, 1]; (b, views, c, h, w) if views are made at loading.
        labels: int64 (b,).
        share: the rows of the global batch that these samples are.
    """

    images: Tensor
    labels: Tensor
    share: BatchShare

    @staticmethod
    def whole(images: Tensor, labels: Tensor) -> "Batch":
        """Build a global batch in one process."""
        return Batch(images, labels, BatchShare.whole(len(images)))


@dataclass(frozen=True)
class Losses:
    """The scalar to minimise, and detached scalars for the curve by name; means over the samples of a batch."""

    total: Tensor
    metrics: Mapping[str, Tensor] = field(default_factory=dict)


class TrainingStep(Protocol[Model_contra]):
    """The training step of a study; its random numbers come from ``random``, except those of dropout."""

    def __call__(self, model: Model_contra, batch: Batch, random: BatchRandom) -> Losses:
        """Compute the losses of ``model`` on ``batch``, means over the samples that this process holds.

        All processes must call the same collective operations in the same order, for any samples.
        """
