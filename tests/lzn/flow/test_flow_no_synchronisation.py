"""On devices other than the CPU the flow reads no value, so it does not synchronise the device.

The tests use the meta device, whose tensors have no values: reading one raises an error.
"""

import pytest
import torch
from lzn_testing.oracles.flow_problems import gradient
from torch import Tensor

from lzn.flow import Adams, DPMSolver, Euler, Solver, alignment_loss, compute_latents, nearest_anchor

SOLVERS = [Euler(num_steps=20), DPMSolver(num_steps=20), Adams(num_steps=10)]
by_solver = pytest.mark.parametrize("solver", SOLVERS, ids=["euler", "dpm", "adams"])


def meta_tensor(*shape: int) -> Tensor:
    return torch.empty(*shape, device="meta", requires_grad=True)


def test_reading_a_value_of_the_meta_device_raises() -> None:
    with pytest.raises(RuntimeError):
        bool(meta_tensor(1) > 0)


@by_solver
@pytest.mark.parametrize("rows", [None, slice(2, 8)], ids=["batch", "gathered"])
def test_latents_read_no_value(solver: Solver, rows: slice | None) -> None:
    anchors, noise = meta_tensor(9, 4), meta_tensor(9 if rows is None else 6, 4)
    z = compute_latents(anchors, noise, rows=rows, weights=torch.ones(9, device="meta"), solver=solver)
    z.sum().backward()
    assert gradient(anchors).shape == (9, 4)


@by_solver
@pytest.mark.parametrize("num_anchors", [3, 40], ids=["few anchors", "many anchors"])
def test_alignment_reads_no_value(solver: Solver, num_anchors: int) -> None:
    latents, anchors = meta_tensor(50, 8), meta_tensor(num_anchors, 8)
    targets = torch.empty(50, dtype=torch.int64, device="meta")
    weights = torch.ones(num_anchors, device="meta")
    loss = alignment_loss(
        latents, anchors, targets, weights=weights, solver=solver, num_skipped_steps=2, log=False
    ).loss
    loss.backward()
    assert gradient(anchors).shape == (num_anchors, 8)
    assert nearest_anchor(latents, anchors).shape == (50,)
