"""On an accelerator the flow asks for no value, so that the processor can queue what comes after it.

Tensors of the meta device have no values at all: whoever asks for one gets an error.
"""

import pytest
import torch
from lzn_testing.oracles.flow_problems import gradient
from torch import Tensor

from lzn.flow import Adams, DPMSolver, Euler, Solver, alignment_loss, compute_latents, nearest_anchor

SOLVERS = [Euler(num_steps=20), DPMSolver(num_steps=20), Adams(num_steps=10)]
by_solver = pytest.mark.parametrize("solver", SOLVERS, ids=["euler", "dpm", "adams"])


def valueless(*shape: int) -> Tensor:
    return torch.empty(*shape, device="meta", requires_grad=True)


def test_the_check_is_one() -> None:
    with pytest.raises(RuntimeError):
        bool(valueless(1) > 0)


@by_solver
@pytest.mark.parametrize("gathered", [False, True], ids=["batch", "gathered"])
def test_latents(solver: Solver, gathered: bool) -> None:
    anchors, everyone = valueless(6, 4), valueless(9, 4)
    weights = torch.ones(9 if gathered else 6, device="meta")
    z = compute_latents(
        anchors, valueless(6, 4), all_anchors=everyone if gathered else None, weights=weights, solver=solver
    )
    z.sum().backward()
    assert gradient(anchors).shape == (6, 4)


@by_solver
@pytest.mark.parametrize("num_anchors", [3, 40], ids=["few anchors", "many anchors"])
def test_alignment(solver: Solver, num_anchors: int) -> None:
    latents, anchors = valueless(50, 8), valueless(num_anchors, 8)
    targets = torch.empty(50, dtype=torch.int64, device="meta")
    weights = torch.ones(num_anchors, device="meta")
    loss = alignment_loss(
        latents, anchors, targets, weights=weights, solver=solver, num_skipped_steps=2, log=False
    )
    loss.backward()
    assert gradient(anchors).shape == (num_anchors, 8)
    assert nearest_anchor(latents, anchors).shape == (50,)
