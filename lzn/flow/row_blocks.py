"""Blocks of rows, so that a tensor with one column per anchor is never larger than a budget."""

from collections.abc import Iterator

import torch

BLOCK_BYTES = 256 * 2**20
"""Largest size of a block. Few large blocks start few kernels on a GPU."""

MAX_ROWS_ON_CPU = 256
"""Largest number of rows of a block on the CPU: larger blocks do not fit into its caches."""


def row_blocks(
    num_rows: int, *, num_columns: int, dtype: torch.dtype, device: torch.device
) -> Iterator[slice]:
    """Yield slices that cover ``num_rows`` rows of ``num_columns`` numbers; a slice has at least one row."""
    size = max(1, BLOCK_BYTES // (num_columns * dtype.itemsize))
    if device.type == "cpu":
        size = min(size, MAX_ROWS_ON_CPU)
    for start in range(0, num_rows, size):
        yield slice(start, start + size)
