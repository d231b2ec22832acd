"""What the flow saves for its backward pass: read once, so that PyTorch's saved-tensor hooks work with it."""

from collections.abc import Callable

import pytest
import torch
from lzn_testing.oracles.flow_problems import gradient, leaf, normal
from torch import Tensor
from torch.autograd.graph import save_on_cpu, saved_tensors_hooks
from torch.utils.checkpoint import checkpoint

from lzn.flow import DPMSolver, Euler, Solver, alignment_loss, compute_latents

N, Q = 24, 6
Operation = Callable[[Tensor, Solver], Tensor]


def latents(anchors: Tensor, solver: Solver) -> Tensor:
    return compute_latents(anchors, normal(1, N, Q), solver=solver).square().mean()


def latents_of_rows(anchors: Tensor, solver: Solver) -> Tensor:
    return compute_latents(anchors, normal(1, 5, Q), rows=slice(3, 8), solver=solver).square().mean()


def alignment(anchors: Tensor, solver: Solver) -> Tensor:
    targets = torch.arange(N)
    return alignment_loss(anchors + 1, anchors, targets, solver=solver, num_skipped_steps=2, log=True).loss


def alignment_with_few_anchors(anchors: Tensor, solver: Solver) -> Tensor:
    targets = torch.arange(N) % 3
    return alignment_loss(
        anchors + 1, anchors[:3], targets, solver=solver, num_skipped_steps=2, log=True
    ).loss


by_operation = pytest.mark.parametrize(
    "operation", [latents, latents_of_rows, alignment, alignment_with_few_anchors]
)
by_solver = pytest.mark.parametrize(
    "solver", [Euler(num_steps=12), DPMSolver(num_steps=12)], ids=["euler", "dpm"]
)


def value_and_gradient(compute: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    anchors = leaf(0.3 * normal(0, N, Q))
    value = compute(anchors)
    value.backward()
    return value.detach(), gradient(anchors)


@by_solver
@by_operation
def test_checkpointing_changes_no_value_or_gradient(operation: Operation, solver: Solver) -> None:
    expected = value_and_gradient(lambda anchors: operation(anchors, solver))

    def checkpointed(anchors: Tensor) -> Tensor:
        loss: Tensor = checkpoint(operation, anchors, solver, use_reentrant=False)
        return loss

    found = value_and_gradient(checkpointed)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@by_solver
@by_operation
def test_saving_on_the_cpu_changes_no_value_or_gradient(operation: Operation, solver: Solver) -> None:
    expected = value_and_gradient(lambda anchors: operation(anchors, solver))

    def saved_on_cpu(anchors: Tensor) -> Tensor:
        with save_on_cpu():
            return operation(anchors, solver)

    found = value_and_gradient(saved_on_cpu)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@by_solver
@by_operation
def test_no_saved_tensor_is_unpacked_twice(operation: Operation, solver: Solver) -> None:
    packed, unpacked = [], []

    def pack(tensor: Tensor) -> int:
        packed.append(tensor)
        return len(packed) - 1

    def unpack(number: int) -> Tensor:
        unpacked.append(number)
        return packed[number]

    anchors = leaf(0.3 * normal(0, N, Q))
    with saved_tensors_hooks(pack, unpack):
        loss = operation(anchors, solver)
    loss.backward()
    assert unpacked
    assert len(set(unpacked)) == len(unpacked)


def test_hooks_see_all_tensors_of_the_anchors_size() -> None:
    """A tensor that is kept beside the saved ones stays on the device under `save_on_cpu`."""
    sizes: list[int] = []

    def pack(tensor: Tensor) -> Tensor:
        sizes.append(tensor.numel())
        return tensor

    solver = Euler(num_steps=12)
    with saved_tensors_hooks(pack, lambda tensor: tensor):
        compute_latents(leaf(0.3 * normal(0, N, Q)), normal(1, 1, Q), rows=slice(1), solver=solver)
    assert sizes.count(N * Q) == 1
