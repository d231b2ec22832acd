"""The sample indices of each training batch: shuffled every epoch, the last partial batch is dropped."""

from functools import lru_cache

import torch
from torch import Tensor

from lzn.base.randomness import generator_for


def steps_per_epoch(num_samples: int, batch_size: int) -> int:
    """Return the number of full batches in an epoch.

    Raises:
        ValueError: there is no full batch.
    """
    if not 1 <= batch_size <= num_samples:
        raise ValueError(
            f"batch_size must lie in [1, {num_samples}], the number of samples, got {batch_size}"
        )
    return num_samples // batch_size


def batch_indices(step: int, *, num_samples: int, batch_size: int, seed: int) -> Tensor:
    """Return the indices of the global batch of ``step`` (from 0), int64 (batch_size,).

    The result depends only on the arguments.

    Raises:
        ValueError: there is no full batch.
    """
    epoch, position = divmod(step, steps_per_epoch(num_samples, batch_size))
    order = _epoch_order(num_samples, seed, epoch)
    return order[position * batch_size : (position + 1) * batch_size].clone()


@lru_cache(maxsize=2)  # every step of an epoch needs it; 0.1 s for three million samples
def _epoch_order(num_samples: int, seed: int, epoch: int) -> Tensor:
    return torch.randperm(num_samples, generator=generator_for(seed, "epoch", epoch))


def random_subset(num_samples: int, num_chosen: int, *, seed: int) -> Tensor:
    """Return the sorted indices (num_chosen,) of a random subset, the same for all compared runs (C.3).

    Raises:
        ValueError: ``num_chosen`` is not in [1, num_samples].
    """
    if not 1 <= num_chosen <= num_samples:
        raise ValueError(f"num_chosen must lie in [1, {num_samples}], got {num_chosen}")
    return torch.randperm(num_samples, generator=generator_for(seed, "subset"))[:num_chosen].sort().values
