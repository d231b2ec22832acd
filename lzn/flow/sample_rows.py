"""The rows of all anchors that are the samples of a call: a slice, indices, or a mask, as indices."""

import torch
from torch import Tensor

from lzn.base.devices import is_cpu

Rows = slice | Tensor
"""A slice, int64 indices (m,), or a bool mask (n,)."""


def row_indices(rows: Rows | None, *, num_anchors: int, num_samples: int, device: torch.device) -> Tensor:
    """Return the indices (m,), int64, of the chosen anchors; of all n anchors if ``rows`` is None.

    On devices other than the CPU no value is read: a mask must then have ``num_samples`` true elements.

    Raises:
        ValueError: ``rows`` has another type or shape, chooses no anchor, or (on CPU) has an index outside [0, n).
    """
    if rows is None:
        return torch.arange(num_anchors, device=device)
    if isinstance(rows, slice):
        indices = torch.arange(*rows.indices(num_anchors), device=device)
    elif not isinstance(rows, Tensor) or not _has_valid_shape(rows, num_anchors):
        found = f"{rows.dtype} {tuple(rows.shape)}" if isinstance(rows, Tensor) else repr(rows)
        raise ValueError(
            f"rows must be a slice, int64 indices (m,) or a bool mask ({num_anchors},), got {found}"
        )
    elif rows.dtype == torch.bool:
        # `nonzero` would synchronise the device.
        indices = (rows.nonzero() if is_cpu(rows) else torch.nonzero_static(rows, size=num_samples))[:, 0]
    else:
        indices = rows
        if is_cpu(rows) and bool(((rows < 0) | (rows >= num_anchors)).any()):
            raise ValueError(f"rows must lie in [0, {num_anchors}), the number of anchors")
    if len(indices) == 0:
        raise ValueError(f"rows must choose at least one of the {num_anchors} anchors, got {rows}")
    return indices


def _has_valid_shape(rows: Tensor, num_anchors: int) -> bool:
    return (rows.dtype == torch.bool and rows.shape == (num_anchors,)) or (
        rows.dtype == torch.int64 and rows.ndim == 1
    )
