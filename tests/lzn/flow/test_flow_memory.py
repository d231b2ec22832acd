"""The flow never allocates an (n, n, q) tensor, and saves O(n q r) numbers for the backward pass."""

import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from lzn_testing.oracles.flow_problems import leaf, normal
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lzn.flow import DPMSolver, Euler, Solver, alignment_loss, compute_latents
from lzn.flow.row_blocks import MAX_ROWS_ON_CPU

N, Q, R = 1024, 64, 20
FLOAT64 = 8
SOLVERS = [Euler(num_steps=R, g=1e-4), DPMSolver(num_steps=R, g=1e-3)]


class MemoryMeter(TorchDispatchMode):
    """Measure the peak memory of tensors created inside, in bytes, and the largest single tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self.largest = 0
        self._live: dict[int, int] = {}

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor):
                self._hold(tensor.untyped_storage())
        return out

    def _hold(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key not in self._live:
            self._live[key] = storage.nbytes()
            weakref.finalize(storage, self._live.pop, key, None)
        self.peak = max(self.peak, sum(self._live.values()))
        self.largest = max(self.largest, storage.nbytes())


def latents(solver: Solver, dtype: torch.dtype, n: int = N) -> Tensor:
    return (
        compute_latents(leaf(normal(1, n, Q), dtype), normal(2, n, Q).to(dtype), solver=solver).square().sum()
    )


def alignment(solver: Solver, dtype: torch.dtype, n: int = N) -> Tensor:
    z, anchors = leaf(normal(3, n, Q), dtype), leaf(normal(4, n, Q), dtype)
    return alignment_loss(z, anchors, torch.arange(n), solver=solver, num_skipped_steps=4, log=True).loss


OPERATIONS = [latents, alignment]


def saved_bytes(compute: Callable[[], Tensor]) -> tuple[int, int]:
    """Return the bytes that the graph saves for the backward pass: their sum, and those of the largest tensor."""
    sizes: dict[int, int] = {}

    def remember(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(remember, lambda tensor: tensor):
        loss = compute()  # the reference keeps addresses from being reused
    assert loss.requires_grad
    return sum(sizes.values()), max(sizes.values())


@pytest.mark.parametrize(
    ("operation", "solver", "dtype"),
    [
        (latents, SOLVERS[0], torch.float32),
        (latents, SOLVERS[1], torch.float64),
        (alignment, SOLVERS[0], torch.float64),
    ],
    ids=["latents euler float32", "latents dpm float64", "alignment euler float64"],
)
def test_peak_memory_is_four_blocks_and_the_trajectory(
    operation: Callable[[Solver, torch.dtype], Tensor], solver: Solver, dtype: torch.dtype
):
    block = MAX_ROWS_ON_CPU * N * FLOAT64
    with MemoryMeter() as meter:
        operation(solver, dtype).backward()
    # At most four blocks of logits and their derivatives, and two (n, q) tensors per step.
    assert meter.peak < 4 * block + 2 * N * Q * (R + 5) * FLOAT64
    assert meter.peak < N * N * Q * FLOAT64 / 10
    assert meter.largest <= block


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("solver", SOLVERS, ids=["euler", "dpm"])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_at_most_two_n_q_tensors_are_saved_per_step(
    operation: Callable[[Solver, torch.dtype, int], Tensor], solver: Solver, dtype: torch.dtype
):
    n = 128
    total, largest = saved_bytes(lambda: operation(solver, dtype, n))
    state = n * Q * FLOAT64
    assert largest <= state
    assert total < (2 * R + 4) * state


@pytest.mark.parametrize("operation", OPERATIONS)
def test_saved_memory_grows_linearly_with_the_number_of_samples(operation: Callable[..., Tensor]):
    small, _ = saved_bytes(lambda: operation(SOLVERS[0], torch.float32, 256))
    large, _ = saved_bytes(lambda: operation(SOLVERS[0], torch.float32, 512))
    assert large == pytest.approx(2 * small, rel=0.01)


def test_the_meter_detects_an_n_n_q_tensor():
    x = torch.zeros(64, 8)
    with MemoryMeter() as meter:
        (x[:, None] - x[None]).square().sum(dim=2)
    assert meter.largest == 64 * 64 * 8 * 4
    assert meter.peak >= 2 * meter.largest  # the difference and its square
