"""What a case study gives to the training loop: a function of (model, batch, generator) that returns losses."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import torch
from torch import Tensor, nn

Model_contra = TypeVar("Model_contra", bound=nn.Module, contravariant=True)


@dataclass(frozen=True)
class Batch:
    """Images (b, c, h, w) in [-1, 1] and their labels (b,).

    Where views are made as images are loaded, ``images`` are those: (b, views, c, h, w).
    """

    images: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Losses:
    """The scalar to minimise, and named scalars to watch (detached)."""

    total: Tensor
    watched: Mapping[str, Tensor] = field(default_factory=dict)


class TrainingStep(Protocol[Model_contra]):
    """One training step of a study; all of its randomness comes from ``generator``, but for dropout's."""

    def __call__(self, model: Model_contra, batch: Batch, generator: torch.Generator) -> Losses:
        """Losses of ``model`` on ``batch``."""
