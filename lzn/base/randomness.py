"""Random numbers that depend on what they are for, not on what was drawn before.

A training step's randomness is a function of (seed, step) alone: a resumed run draws what an uninterrupted one
would have drawn, and nothing but the step has to be remembered.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lzn.base.parallel import BatchShare


def derive_seed(seed: int, *purpose: int | str) -> int:
    """A 63-bit seed for one purpose, independent of the seeds of other purposes.

    Args:
        seed: the run's seed.
        purpose: what the numbers are for, such as ``("step", 1200)``.
    """
    digest = hashlib.blake2b(repr((seed, *purpose)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def generator_for(seed: int, *purpose: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator seeded with `derive_seed`."""
    return torch.Generator(device=device).manual_seed(derive_seed(seed, *purpose))


@dataclass(frozen=True)
class BatchRandom:
    """Random numbers for the samples that this process holds, each sample's the same however the batch is shared.

    They are drawn for the whole global batch, in every process, and own rows are kept.

    Attributes:
        generator: in the same state in all processes. Numbers are drawn on its device.
        share: own rows of the global batch.
    """

    generator: torch.Generator
    share: BatchShare

    @staticmethod
    def for_whole_batch(num_samples: int, generator: torch.Generator) -> "BatchRandom":
        """For all samples of a batch that one process holds."""
        return BatchRandom(generator, BatchShare.whole(num_samples))

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers, float32 (b, *shape)."""
        return self._own(torch.randn(self.share.total, *shape, **self._options))

    def uniform(self, *shape: int) -> Tensor:
        """Numbers from [0, 1), float32 (b, *shape)."""
        return self._own(torch.rand(self.share.total, *shape, **self._options))

    def bits(self) -> Tensor:
        """32 random bits a sample, int32 (b,)."""
        return self._own(
            torch.randint(-(2**31), 2**31, (self.share.total,), dtype=torch.int32, **self._options)
        )

    @property
    def _options(self) -> dict[str, Any]:
        return {"generator": self.generator, "device": self.generator.device}

    def _own(self, drawn: Tensor) -> Tensor:
        return drawn[self.share.rows]
