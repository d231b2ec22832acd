"""Random numbers that depend on a seed and a purpose, not on earlier random numbers.

The random numbers of a training step are a function of the seed and the number of the step. So a resumed training gets
the same random numbers as an uninterrupted one, and a checkpoint needs no state of a generator.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lzn.base.parallel import BatchShare


def derive_seed(seed: int, *purpose: int | str) -> int:
    """Return a 63-bit seed for one purpose, independent of the seeds of other purposes.

    Args:
        seed: the run's seed.
        purpose: name of the purpose, such as ``("step", 1200)``.
    """
    digest = hashlib.blake2b(repr((seed, *purpose)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def generator_for(seed: int, *purpose: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a generator seeded with `derive_seed`."""
    return torch.Generator(device=device).manual_seed(derive_seed(seed, *purpose))


@dataclass(frozen=True)
class GlobalGenerators:
    """PyTorch's global generators of the CPU and of one device."""

    generators: tuple[torch.Generator, ...]

    @staticmethod
    def of(device: torch.device | str) -> "GlobalGenerators":
        """Return the generators that modules on ``device`` use."""
        device = torch.device(device)
        generators = [torch.default_generator]
        if device.type == "cuda":
            torch.cuda.init()  # type: ignore[no-untyped-call]
            index = torch.cuda.current_device() if device.index is None else device.index
            generators.append(torch.cuda.default_generators[index])
        return GlobalGenerators(tuple(generators))

    def states(self) -> list[Tensor]:
        """Return the states of the generators."""
        return [generator.get_state() for generator in self.generators]

    def restore(self, states: Sequence[Tensor]) -> None:
        """Restore the result of `states`."""
        for generator, state in zip(self.generators, states, strict=True):
            generator.set_state(state)


@contextmanager
def seeded_global_generator(seed: int, device: torch.device | str) -> Iterator[None]:
    """Seed PyTorch's global generators of the CPU and of ``device`` inside the block; restore their states after it."""
    together = GlobalGenerators.of(device)
    states = together.states()
    try:
        for generator in together.generators:
            generator.manual_seed(seed)
        yield
    finally:
        together.restore(states)


@dataclass(frozen=True)
class BatchRandom:
    """Random numbers for the samples of a batch that this process holds.

    Every process draws the numbers of the whole global batch and keeps its own rows. So the numbers of a sample do not
    depend on how the batch is shared.

    Attributes:
        generator: must have the same state in all processes. Its device is that of the numbers.
        share: own rows of the global batch.
    """

    generator: torch.Generator
    share: BatchShare

    @staticmethod
    def for_whole_batch(num_samples: int, generator: torch.Generator) -> "BatchRandom":
        """Return the random numbers for a batch that one process holds."""
        return BatchRandom(generator, BatchShare.whole(num_samples))

    def normal(self, *shape: int) -> Tensor:
        """Return standard normal numbers, float32 (b, *shape)."""
        return self._own_rows(torch.randn(self.share.total, *shape, **self._options))

    def uniform(self, *shape: int) -> Tensor:
        """Return uniform numbers in [0, 1), float32 (b, *shape)."""
        return self._own_rows(torch.rand(self.share.total, *shape, **self._options))

    def bits(self) -> Tensor:
        """Return 32 random bits per sample, int32 (b,)."""
        return self._own_rows(
            torch.randint(-(2**31), 2**31, (self.share.total,), dtype=torch.int32, **self._options)
        )

    @property
    def _options(self) -> dict[str, Any]:
        return {"generator": self.generator, "device": self.generator.device}

    def _own_rows(self, numbers: Tensor) -> Tensor:
        return numbers[self.share.rows]
