"""Seeded generators, and random numbers for all samples of a batch."""

import torch

from lzn.base.randomness import BatchRandom


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch_random_for(num_samples: int, seed: int = 0) -> BatchRandom:
    return BatchRandom.for_whole_batch(num_samples, seeded(seed))
