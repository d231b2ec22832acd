"""Random numbers for all samples of a batch."""

import torch

from lzn.base.randomness import BatchRandom


def random_for(num_samples: int, seed: int = 0) -> BatchRandom:
    return BatchRandom.for_whole_batch(num_samples, torch.Generator().manual_seed(seed))
