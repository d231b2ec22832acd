"""Gather the rows that several processes hold into one tensor; gradients flow back to the process of each row."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, distributed


def gather_rows(
    rows: Tensor, sizes: Sequence[int], *, group: distributed.ProcessGroup | None = None
) -> Tensor:
    """Return the rows of all processes in the order of their ranks: (m, ...) => (n, ...).

    The gradient of a row is the sum of its gradients in all processes, in the dtype of ``rows``. All processes must
    call this, and its backward pass, in the same order as other collective operations.

    Args:
        rows: the rows of this process, (m, ...).
        sizes: number of rows of each process, by rank.
        group: the processes; by default all.
    """
    gathered: Tensor = _GatherRows.apply(rows, tuple(sizes), group)
    return gathered


class _GatherRows(torch.autograd.Function):
    """All-gather; its backward pass is a reduce-scatter. Shares are padded to the largest: both need equal sizes."""

    @staticmethod
    def forward(
        ctx: Any, rows: Tensor, sizes: tuple[int, ...], group: distributed.ProcessGroup | None
    ) -> Tensor:
        ctx.sizes, ctx.group = sizes, group
        largest = max(sizes)
        padded = rows.new_zeros((largest, *rows.shape[1:]))
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in sizes]
        distributed.all_gather(parts, padded, group=group)
        return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = gradients
        sizes, largest = ctx.sizes, max(ctx.sizes)
        parts = [gradient.new_zeros((largest, *gradient.shape[1:])) for _ in sizes]
        for part, own in zip(parts, torch.split(gradient, list(sizes)), strict=True):
            part[: len(own)] = own
        total = torch.empty_like(parts[0])
        distributed.reduce_scatter(total, parts, group=ctx.group)
        return total[: sizes[distributed.get_rank(ctx.group)]], None, None
