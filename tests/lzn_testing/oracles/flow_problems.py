"""Seeded inputs of the flow, and the error of results."""

import torch
from torch import Tensor

from lzn_testing.random_numbers import seeded


def normal(seed: int, *shape: int) -> Tensor:
    """Return standard normal numbers, float64, that depend only on the seed and the shape."""
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def positive(seed: int, *shape: int) -> Tensor:
    """Return numbers in [0.2, 1.2), float64: weights none of which is negligible."""
    return 0.2 + torch.rand(*shape, generator=seeded(seed), dtype=torch.float64)


def leaf(values: Tensor, dtype: torch.dtype = torch.float64) -> Tensor:
    """Return a copy that requires a gradient."""
    return values.detach().to(dtype, copy=True).requires_grad_()


def gradient(of: Tensor) -> Tensor:
    """Return the gradient of a tensor after a backward pass."""
    assert of.grad is not None
    return of.grad


def relative_error(actual: Tensor, expected: Tensor) -> float:
    """Return |actual - expected| / |expected| in the Euclidean norm over all elements; 0 if both are equal."""
    error = float((actual.detach().double() - expected.detach().double()).norm())
    return error / float(expected.detach().double().norm()) if error != 0 else 0.0
