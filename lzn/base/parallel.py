"""Several processes that train together: each holds some rows of the global batch, and all have the same model.

The loss of the global batch is ``sum over processes of (share of the rows) * (mean over own rows)``, so gradients of a
process's mean loss, times its share of the rows, are added up over the processes. What a process computes must not
decide whether it takes part in a sum or a gathering: the others would wait for it.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed

TIMEOUT = timedelta(minutes=5)
"""How long a process waits for the others in a sum or a gathering before it ends with an error."""

MAX_BUCKET_BYTES = 64 * 2**20
"""Tensors are sent together up to this size."""


@dataclass(frozen=True)
class Processes:
    """The processes that train together, and which of them this one is; by default it is alone.

    Attributes:
        rank: number of this process, from 0.
        count: how many there are.

    Raises:
        ValueError: ``rank`` is not in [0, count).
    """

    rank: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.count:
            raise ValueError(f"rank must lie in [0, {self.count}), the number of processes, got {self.rank}")

    @property
    def is_first(self) -> bool:
        """Is this the process that writes files and reports?"""
        return self.rank == 0

    def share_of(self, batch_size: int) -> "BatchShare":
        """This process's rows of a global batch; shares differ by one row at most.

        Raises:
            ValueError: there are fewer samples than processes.
        """
        if batch_size < self.count:
            raise ValueError(
                f"a batch of {batch_size} cannot be shared by {self.count} processes: start at most {batch_size}"
            )
        return BatchShare(
            first=self.rank * batch_size // self.count,
            last=(self.rank + 1) * batch_size // self.count,
            total=batch_size,
            processes=self,
        )

    def sum_(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over all processes, in place; all must give the same shapes and dtypes."""
        if self.count == 1:
            return
        sums = []
        for bucket in _buckets(tensors):
            flat = torch.cat([tensor.detach().reshape(-1) for tensor in bucket])
            sums.append((bucket, flat, distributed.all_reduce(flat, async_op=True)))
        for bucket, flat, work in sums:
            work.wait()
            _unpack(flat, bucket)

    def copy_from_first_(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by that of process 0, in place; all must give the same shapes and dtypes."""
        if self.count == 1:
            return
        for bucket in _buckets(tensors):
            flat = torch.cat([tensor.detach().reshape(-1) for tensor in bucket])
            distributed.broadcast(flat, src=0)
            _unpack(flat, bucket)

    def any_says(self, yes: bool, *, device: torch.device | str) -> bool:
        """Does at least one process say yes? All get the same answer; tensors are exchanged on ``device``."""
        answers = torch.tensor([yes], dtype=torch.int64, device=device)
        self.sum_([answers])
        return bool(answers.item())

    def wait_for_all(self) -> None:
        """Go on when all processes have come here."""
        if self.count > 1:
            distributed.barrier()


@dataclass(frozen=True)
class BatchShare:
    """Rows ``first`` to ``last - 1`` of a global batch of ``total`` rows: those that this process holds."""

    first: int
    last: int
    total: int
    processes: Processes

    @staticmethod
    def whole(batch_size: int) -> "BatchShare":
        """All rows, in one process."""
        return Processes().share_of(batch_size)

    @property
    def rows(self) -> slice:
        """Own rows among those of the global batch."""
        return slice(self.first, self.last)

    @property
    def count(self) -> int:
        """How many rows this process holds."""
        return self.last - self.first

    @property
    def weight(self) -> float:
        """The share of the rows that this process holds, from 0 to 1."""
        return self.count / self.total

    def gather(self, rows: Tensor) -> Tensor:
        """The rows of all processes, in order: own rows (count, ...) to (total, ...).

        Differentiable: a row's gradient is the sum of what all processes' losses say about it. With one process the
        same tensor comes back.

        Raises:
            ValueError: ``rows`` are not as many as the share has.
        """
        if len(rows) != self.count:
            raise ValueError(f"this process's share has {self.count} rows, got {len(rows)}")
        if self.processes.count == 1:
            return rows
        gathered: Tensor = _Gather.apply(rows, self)
        return gathered


class _Gather(torch.autograd.Function):
    """All processes' rows; backward adds up the processes' gradients, in their own precision, and keeps own rows."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, share: BatchShare) -> Tensor:
        ctx.share = share
        count = share.processes.count
        padded = rows.new_zeros((-(-share.total // count), *rows.shape[1:]))
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in range(count)]
        distributed.all_gather(parts, padded)
        sizes = [Processes(rank, count).share_of(share.total).count for rank in range(count)]
        return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (gradient,) = gradients
        total = gradient.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        return total[ctx.share.rows], None


@contextmanager
def join_processes(device: torch.device) -> Iterator[Processes]:
    """The processes that a launcher such as ``torchrun`` started, connected with each other inside the block.

    Who they are is read from the launcher's environment (``RANK``, ``WORLD_SIZE``, ``LOCAL_RANK``, ``MASTER_ADDR``,
    ``MASTER_PORT``). Without ``RANK`` this process is alone and nothing is done. They are connected by gloo on CPU and
    by NCCL on GPUs, each process with the GPU of its ``LOCAL_RANK`` as its current one.

    Raises:
        RuntimeError: the others cannot be reached within `TIMEOUT`.
    """
    if "RANK" not in os.environ:
        yield Processes()
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
        distributed.init_process_group("nccl", timeout=TIMEOUT, device_id=device)
    else:
        distributed.init_process_group("gloo", timeout=TIMEOUT)
    try:
        yield Processes(distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()


def _buckets(tensors: Iterable[Tensor]) -> list[list[Tensor]]:
    """Tensors of one dtype each, together not above `MAX_BUCKET_BYTES` (but for single ones that are)."""
    open_buckets: dict[torch.dtype, list[Tensor]] = {}
    sizes: dict[torch.dtype, int] = {}
    full = []
    for tensor in tensors:
        size = tensor.numel() * tensor.element_size()
        bucket = open_buckets.setdefault(tensor.dtype, [])
        if bucket and sizes[tensor.dtype] + size > MAX_BUCKET_BYTES:
            full.append(bucket)
            bucket = open_buckets[tensor.dtype] = []
        sizes[tensor.dtype] = size + (sizes[tensor.dtype] if bucket else 0)
        bucket.append(tensor)
    return full + list(open_buckets.values())


@torch.no_grad()
def _unpack(flat: Tensor, tensors: Sequence[Tensor]) -> None:
    parts = torch.split(flat, [tensor.numel() for tensor in tensors])
    for tensor, part in zip(tensors, parts, strict=True):
        tensor.copy_(part.view(tensor.shape))
