"""Random numbers for all samples of a batch."""

import torch

from lzn.randomness import SampleDraws


def draws_for(num_samples: int, seed: int = 0) -> SampleDraws:
    return SampleDraws.for_whole_batch(num_samples, torch.Generator().manual_seed(seed))
