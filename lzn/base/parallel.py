"""Processes that train together. Each holds some rows of the global batch, and all have the same model.

The loss of the global batch is the sum over processes of ``weight * mean over own rows``, where ``weight`` is the
process's share of the rows. So gradients of the own mean loss are multiplied by ``weight`` and summed over processes.

Every process must take part in every collective operation, whatever it computes; otherwise the others wait.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import torch
from torch import Tensor, distributed

from lzn.base.gathering import gather_rows

TIMEOUT = timedelta(minutes=5)
"""Time limit of a collective operation. After it, a waiting process ends with an error."""

_NO_LIMIT = timedelta(days=3650)

MAX_BUCKET_BYTES = 64 * 2**20
"""Largest total size of tensors that are sent together."""


@dataclass(frozen=True)
class Processes:
    """The number of processes that train together, and this process's rank. The default is a single process.

    Attributes:
        rank: number of this process, from 0.
        count: number of processes.
        waiting_group: a group of all processes in which they wait for each other without time limit; if it is None,
            `barrier` has the time limit of the default group. `connected_processes` makes it.

    Raises:
        ValueError: ``rank`` is not in [0, count).
    """

    rank: int = 0
    count: int = 1
    waiting_group: distributed.ProcessGroup | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.count:
            raise ValueError(f"rank must be in [0, {self.count}) for {self.count} processes, got {self.rank}")

    @property
    def is_first(self) -> bool:
        """Whether this is process 0, which writes files and reports."""
        return self.rank == 0

    def share_of(self, batch_size: int) -> "BatchShare":
        """Return this process's rows of a global batch. Shares differ by at most one row.

        Raises:
            ValueError: there are fewer rows than processes.
        """
        if batch_size < self.count:
            raise ValueError(
                f"a batch of {batch_size} is too small for {self.count} processes: start at most {batch_size}"
            )
        return BatchShare(
            first=self.rank * batch_size // self.count,
            last=(self.rank + 1) * batch_size // self.count,
            total=batch_size,
            processes=self,
        )

    def sum_(self, tensors: Sequence[Tensor]) -> None:
        """Sum each tensor over all processes, in place. Shapes and dtypes must be equal in all processes."""
        if self.count == 1:
            return
        sums = []
        for bucket in _buckets(tensors):
            flat = torch.cat([tensor.detach().reshape(-1) for tensor in bucket])
            sums.append((bucket, flat, distributed.all_reduce(flat, async_op=True)))
        for bucket, flat, work in sums:
            work.wait()
            _unpack(flat, bucket)

    def broadcast_(self, tensors: Sequence[Tensor]) -> None:
        """Overwrite each tensor by that of process 0. Shapes and dtypes must be equal in all processes."""
        if self.count == 1:
            return
        for bucket in _buckets(tensors):
            flat = torch.cat([tensor.detach().reshape(-1) for tensor in bucket])
            distributed.broadcast(flat, src=0)
            _unpack(flat, bucket)

    def any_true(self, condition: bool, *, device: torch.device | str) -> bool:
        """Return whether ``condition`` is true in at least one process. Tensors are exchanged on ``device``."""
        num_true = torch.tensor([condition], dtype=torch.int64, device=device)
        self.sum_([num_true])
        return bool(num_true.item())

    def barrier(self) -> None:
        """Wait until all processes have called this, however long it takes (see ``waiting_group``).

        If another process ends instead, the launcher or an error of the connection ends this one.
        """
        if self.count > 1:
            distributed.barrier(group=self.waiting_group)


@dataclass(frozen=True)
class BatchShare:
    """The rows of a global batch that this process holds: ``first`` to ``last - 1`` of ``total``."""

    first: int
    last: int
    total: int
    processes: Processes

    @staticmethod
    def whole(batch_size: int) -> "BatchShare":
        """Return the share of a single process: all rows."""
        return Processes().share_of(batch_size)

    @property
    def rows(self) -> slice:
        """Slice of own rows in the global batch."""
        return slice(self.first, self.last)

    @property
    def count(self) -> int:
        """Number of own rows."""
        return self.last - self.first

    @property
    def weight(self) -> float:
        """Own rows divided by all rows, in (0, 1]."""
        return self.count / self.total

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of rows of each process, by rank."""
        count = self.processes.count
        return tuple(Processes(rank, count).share_of(self.total).count for rank in range(count))

    def gather(self, rows: Tensor) -> Tensor:
        """Return the rows of all processes in order: (count, ...) => (total, ...).

        Differentiable: the gradient of a row is the sum of its gradients in all processes. A single process gets back
        the same tensor.

        Raises:
            ValueError: ``rows`` does not have ``count`` rows.
        """
        if len(rows) != self.count:
            raise ValueError(f"this process's share has {self.count} rows, got {len(rows)}")
        if self.processes.count == 1:
            return rows
        return gather_rows(rows, self.sizes)


def connected_processes() -> Processes:
    """Return the processes of an initialised `torch.distributed`; a single process if it is not initialised.

    All processes must call this.
    """
    if not distributed.is_initialized():
        return Processes()
    waiting_group = distributed.new_group(backend="gloo", timeout=_NO_LIMIT)
    assert isinstance(waiting_group, distributed.ProcessGroup)
    return Processes(distributed.get_rank(), distributed.get_world_size(), waiting_group)


@contextmanager
def join_processes(device: torch.device, *, timeout: timedelta = TIMEOUT) -> Iterator[Processes]:
    """Connect the processes that a launcher such as ``torchrun`` started, for the duration of the block.

    Ranks and addresses are read from the launcher's environment variables (``RANK``, ``WORLD_SIZE``, ``LOCAL_RANK``,
    ``MASTER_ADDR``, ``MASTER_PORT``). Without ``RANK``, yield a single process. The backend is gloo on the CPU and NCCL
    on GPUs; the current GPU is set to number ``LOCAL_RANK``. A collective operation fails after ``timeout``.

    Raises:
        RuntimeError: the other processes cannot be reached within ``timeout``.
    """
    if "RANK" not in os.environ:
        yield Processes()
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
        distributed.init_process_group("nccl", timeout=timeout, device_id=device)
    else:
        distributed.init_process_group("gloo", timeout=timeout)
    try:
        yield connected_processes()
    finally:
        distributed.destroy_process_group()


def _buckets(tensors: Iterable[Tensor]) -> list[list[Tensor]]:
    """Group tensors by dtype into buckets of at most `MAX_BUCKET_BYTES`; a larger tensor has a bucket for itself."""
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
