"""Seeded generators, and random numbers for all samples of a batch."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lzn.base.parallel import BatchShare
from lzn.base.randomness import BatchRandom


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch_random_for(num_samples: int, seed: int = 0) -> BatchRandom:
    return BatchRandom.for_whole_batch(num_samples, seeded(seed))


@dataclass(frozen=True)
class CopiedRandom(BatchRandom):
    """Random numbers of a CPU generator on another device, whose own generator gives other numbers."""

    device: str

    @staticmethod
    def for_batch(num_samples: int, device: str) -> "CopiedRandom":
        return CopiedRandom(seeded(), BatchShare.whole(num_samples), device)

    def _own_rows(self, numbers: Tensor) -> Tensor:
        return super()._own_rows(numbers).to(self.device)


class MetaRandom(BatchRandom):
    """Random numbers without values on the meta device, which has no generator."""

    def __init__(self, num_samples: int) -> None:
        super().__init__(seeded(), BatchShare.whole(num_samples))

    @property
    def _options(self) -> dict[str, Any]:
        return {"device": "meta"}
