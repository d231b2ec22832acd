"""Seeded generators, and random numbers for all samples of a batch."""

from typing import Any

import torch

from lzn.base.parallel import BatchShare
from lzn.base.randomness import BatchRandom


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch_random_for(num_samples: int, seed: int = 0) -> BatchRandom:
    return BatchRandom.for_whole_batch(num_samples, seeded(seed))


class MetaRandom(BatchRandom):
    """Random numbers without values on the meta device, which has no generator."""

    def __init__(self, num_samples: int) -> None:
        super().__init__(seeded(), BatchShare.whole(num_samples))

    @property
    def _options(self) -> dict[str, Any]:
        return {"device": "meta"}
