"""Random numbers that depend on what they are for, not on what was drawn before.

A training step's randomness is a function of (seed, step) alone: a resumed run draws what an uninterrupted one
would have drawn, and nothing but the step has to be remembered.
"""

import hashlib

import torch


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
