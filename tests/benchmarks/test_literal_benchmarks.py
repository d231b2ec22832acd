"""What ours is compared with computes the same."""

import pytest
import torch
from lzn_testing.oracles.flow_problems import leaf, normal, relative_error
from torch import Tensor

from benchmarks.literal import literal_alignment, literal_flow, literal_latents
from lzn.flow import DPMSolver, Euler, Solver, alignment_loss, compute_latents, flow_to_anchors

SOLVERS = [
    Euler(num_steps=20, g=1e-4),
    DPMSolver(num_steps=20, g=1e-3),
    DPMSolver(num_steps=6, g=1e-3),  # its order drops at the end
]
TOLERANCE = 1e-8  # the first steps multiply float64's rounding by up to 1/g = 1e4


def gradient_of(output: Tensor, anchors: Tensor) -> Tensor:
    (gradient,) = torch.autograd.grad(output.square().sum(), anchors)
    return gradient


@pytest.mark.parametrize("solver", SOLVERS, ids=str)
def test_literal_latents_and_their_gradients_are_ours(solver: Solver):
    anchors, noise = leaf(normal(1, 12, 8)), normal(2, 12, 8)
    literal = literal_latents(anchors, noise, solver=solver, alpha=0.5)
    ours = compute_latents(anchors, noise, solver=solver, alpha=0.5)
    assert relative_error(literal, ours) < TOLERANCE
    assert relative_error(gradient_of(literal, anchors), gradient_of(ours, anchors)) < TOLERANCE


@pytest.mark.parametrize("solver", SOLVERS, ids=str)
def test_literal_flow_is_ours(solver: Solver):
    latents, anchors, weights = normal(1, 12, 8), normal(2, 4, 8), torch.tensor([0.1, 0.2, 0.3, 0.4]).double()
    targets = torch.arange(12) % 4
    literal = literal_flow(latents, anchors, targets=targets, weights=weights, solver=solver)
    ours = flow_to_anchors(latents, anchors, targets=targets, weights=weights, solver=solver)
    assert literal.target_log_probability is not None
    assert ours.target_log_probability is not None
    assert relative_error(literal.points, ours.points) < TOLERANCE
    assert relative_error(literal.target_log_probability, ours.target_log_probability) < TOLERANCE


@pytest.mark.parametrize("log", [True, False])
def test_literal_alignment_is_ours(log: bool):
    latents, anchors, targets = normal(1, 12, 8), normal(2, 12, 8), torch.arange(12)
    flow = literal_flow(latents, anchors, targets=targets, solver=SOLVERS[0])
    assert flow.target_log_probability is not None
    literal = literal_alignment(flow.target_log_probability, num_skipped_steps=4, log=log)
    ours = alignment_loss(latents, anchors, targets, solver=SOLVERS[0], num_skipped_steps=4, log=log).loss
    assert relative_error(literal, ours) < TOLERANCE
