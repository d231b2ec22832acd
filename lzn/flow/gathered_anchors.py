"""Latent parallelism: the anchors of all processes, with gradients that flow back to the process of each anchor."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, distributed

from lzn.base.devices import is_cpu
from lzn.base.gathering import gather_rows
from lzn.flow.input_checks import check_points


class GatheredAnchors(NamedTuple):
    """Result of `gather_anchors`.

    Attributes:
        anchors: the anchors of all processes in the order of their ranks, (n, q), float64.
        rows: the rows of this process.
    """

    anchors: Tensor
    rows: slice


def gather_anchors(
    anchors: Tensor,
    group: distributed.ProcessGroup | None = None,
    *,
    sizes: Sequence[int] | None = None,
) -> GatheredAnchors:
    """Gather the anchors that each process computed for its part of the batch (A.3).

    Call this in each process, and compute the latents of the own samples among all anchors::

        anchors, rows = gather_anchors(encoder(images))
        latents = compute_latents(anchors, noise, rows=rows)

    The gradient of an anchor is the sum of its gradients in all processes. They nearly cancel, so they are added in
    float64 before they are rounded. If the loss is a mean over own samples, and gradients are averaged over processes
    (as DistributedDataParallel does), they equal those of one process with the whole batch.

    Args:
        anchors: the anchors of this process, (m, q).
        group: the processes; by default all. Without an initialised `torch.distributed` there is one process.
        sizes: number of anchors of each process, by rank; by default equal in all processes.

    Raises:
        ValueError: ``anchors`` is not (m, q), or ``sizes`` is not true. (If ``sizes`` is not given, this is checked
            only on the CPU, because the check would synchronise the device.)
    """
    check_points("anchors", anchors)
    if not distributed.is_initialized():
        return GatheredAnchors(anchors.double(), slice(0, len(anchors)))
    rank, count = distributed.get_rank(group), distributed.get_world_size(group)
    if sizes is None:
        sizes = [len(anchors)] * count
        if is_cpu(anchors):
            _check_equal_sizes(len(anchors), count, group)
    elif len(sizes) != count or sizes[rank] != len(anchors):
        raise ValueError(
            f"sizes must have the number of anchors of each of {count} processes, {len(anchors)} for process {rank}, "
            f"got {list(sizes)}"
        )
    first = sum(sizes[:rank])
    gathered = gather_rows(anchors.double(), sizes, group=group)
    return GatheredAnchors(gathered, slice(first, first + len(anchors)))


def _check_equal_sizes(size: int, count: int, group: distributed.ProcessGroup | None) -> None:
    found = [torch.empty(1, dtype=torch.int64) for _ in range(count)]
    distributed.all_gather(found, torch.tensor([size]), group=group)
    numbers = [int(number) for number in found]
    if len(set(numbers)) > 1:
        raise ValueError(f"processes have {numbers} anchors: give these numbers as sizes")
