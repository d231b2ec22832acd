"""Checks of features, and distances between features in blocks of rows."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Features = NDArray[np.floating]
"""(n, d), one row per sample, float16, float32 or float64; can be memory-mapped, because metrics read row blocks."""

_CHECKED_ROWS = 4096


def require_features(name: str, features: Features, *, at_least: int = 1) -> None:
    """Check that `features` is a finite floating point array (n, d) with `at_least` rows.

    Raises:
        ValueError: it is not; the message contains `name`.
    """
    if features.ndim != 2 or features.shape[1] == 0 or not np.issubdtype(features.dtype, np.floating):
        raise ValueError(
            f"{name} must be a floating point array (n, d), got {features.dtype} {features.shape}"
        )
    if len(features) < at_least:
        raise ValueError(f"{name} must have at least {at_least} rows, got {len(features)}")
    if not all(np.isfinite(features[rows]).all() for rows in row_blocks(len(features), _CHECKED_ROWS)):
        raise ValueError(f"{name} contains NaN or infinity; check the network that computes the features")


def require_same_width(first: Features, second: Features) -> None:
    """Check that two sets of features have the same number of columns.

    Raises:
        ValueError: the widths differ.
    """
    if first.shape[1] != second.shape[1]:
        raise ValueError(
            f"both sets of features must have the same width, got {first.shape[1]} and {second.shape[1]}"
        )


def to_float64(rows: Features, device: torch.device | str) -> Tensor:
    """Copy rows of features to a float64 tensor (b, d) on `device`."""
    return torch.from_numpy(np.array(rows, dtype=np.float64, order="C")).to(device)


def row_blocks(num_rows: int, block_size: int) -> Iterator[slice]:
    """Yield consecutive slices of at most `block_size` rows that cover `num_rows`.

    Raises:
        ValueError: `block_size` is less than 1.
    """
    if block_size < 1:
        raise ValueError(f"block_size must be at least 1, got {block_size}")
    for start in range(0, num_rows, block_size):
        yield slice(start, min(start + block_size, num_rows))


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """Compute |x_i - y_j|^2 as |x_i|^2 + |y_j|^2 - 2 <x_i, y_j>, (n, d) and (m, d) => (n, m), at least 0.

    This is one matrix product. Its rounding error is about eps (|x_i|^2 + |y_j|^2), which can exceed the distance.
    """
    products = torch.addmm(y.square().sum(1), x, y.T, alpha=-2)
    return products.add_(x.square().sum(1, keepdim=True)).clamp_(min=0)
