"""Functions that tests run in several processes. They are in a module because processes import them by name."""

import torch
from torch import Tensor

from lzn.base.parallel import Processes

TOTAL = 7


def rows_of_batch(dtype: torch.dtype) -> Tensor:
    return torch.randn(TOTAL, 3, generator=torch.Generator().manual_seed(0), dtype=dtype)


def gathered_and_gradient(processes: Processes, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Gather the rows of all processes. Each row is in every process's loss, weighted by the process's own rows."""
    share = processes.share_of(TOTAL)
    own = rows_of_batch(dtype)[share.rows].requires_grad_()
    gathered = share.gather(own)
    weights = torch.randn(TOTAL, TOTAL, generator=torch.Generator().manual_seed(1), dtype=dtype)
    (weights[share.rows] @ gathered).sin().sum().backward()
    assert own.grad is not None
    return gathered.detach(), own.grad


def sums_and_broadcasts(processes: Processes) -> dict[str, list[Tensor]]:
    def tensors() -> list[Tensor]:
        own = float(processes.rank + 1)
        mixed = [
            torch.full((3, 2), own).t(),
            torch.tensor(own, dtype=torch.float64),
            torch.full((2,), 2 * own),
        ]
        return [*mixed, torch.tensor([processes.rank + 1])]

    summed, broadcast = tensors(), tensors()
    processes.sum_(summed)
    processes.broadcast_(broadcast)
    return {"summed": summed, "broadcast": broadcast}


def labels_and_conditions(processes: Processes) -> dict[str, object]:
    share = processes.share_of(TOTAL)
    return {
        "labels": share.gather(torch.arange(TOTAL)[share.rows]).tolist(),
        "any, only the last": processes.any_true(processes.rank == processes.count - 1, device="cpu"),
        "any, none": processes.any_true(False, device="cpu"),
        "identity": Processes(processes.rank, processes.count) == processes,
    }


def fill_buckets(processes: Processes) -> list[float]:
    tensors = [torch.ones(3 * 2**20) for _ in range(7)]  # 12 MiB each: two buckets
    processes.sum_(tensors)
    return [tensor.mean().item() for tensor in tensors]
