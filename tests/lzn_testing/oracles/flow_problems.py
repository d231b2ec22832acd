"""Seeded inputs for the flow's tests, and how results are compared."""

import torch
from torch import Tensor


def normal(seed: int, *shape: int) -> Tensor:
    """Standard normal numbers, float64, that depend on the seed and the shape alone."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def positive(seed: int, *shape: int) -> Tensor:
    """Numbers in [0.2, 1.2), float64: weights of which none is negligible."""
    return 0.2 + torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def leaf(values: Tensor, dtype: torch.dtype = torch.float64) -> Tensor:
    """A copy that asks for a gradient."""
    return values.detach().to(dtype, copy=True).requires_grad_()


def gradient(of: Tensor) -> Tensor:
    """The gradient that a backward pass left."""
    assert of.grad is not None
    return of.grad


def relative_error(actual: Tensor, expected: Tensor) -> float:
    """|actual - expected| / |expected| in the Euclidean norm over all elements; 0 where both are zero."""
    error = float((actual.detach().double() - expected.detach().double()).norm())
    return error / float(expected.detach().double().norm()) if error != 0 else 0.0
