"""The accuracy of an alignment: the share of latents that the last step assigns to their target."""

import pytest
import torch
from lzn_testing.oracles.flow_problems import leaf, normal
from torch import Tensor

from lzn.flow import Adams, DPMSolver, Euler, Solver, alignment_loss, flow_to_anchors, nearest_anchor

SOLVERS = [Euler(num_steps=20), Euler(num_steps=100), DPMSolver(num_steps=20), Adams(num_steps=10)]
by_solver = pytest.mark.parametrize("solver", SOLVERS, ids=["euler 20", "euler 100", "dpm", "adams"])
by_number = pytest.mark.parametrize("num_anchors", [3, 40], ids=["few anchors", "many anchors"])


def targets_half_right(latents: Tensor, anchors: Tensor, solver: Solver) -> Tensor:
    """Return as targets the anchors where the latents arrive, moved by one for every second latent."""
    arrived = nearest_anchor(flow_to_anchors(latents, anchors, solver=solver).points, anchors)
    return (arrived + torch.arange(len(latents)) % 2) % len(anchors)


@by_number
@by_solver
def test_the_accuracy_is_the_share_of_end_points_nearest_to_their_target(
    solver: Solver, num_anchors: int
) -> None:
    latents, anchors = normal(1, 300, 8).float(), normal(2, num_anchors, 8).float()
    targets = targets_half_right(latents, anchors, solver)
    aligned = alignment_loss(latents, anchors, targets, solver=solver, num_skipped_steps=2, log=True)
    assert torch.equal(
        aligned.points, flow_to_anchors(latents, anchors, targets=targets, solver=solver).points
    )
    assert aligned.accuracy == (nearest_anchor(aligned.points, anchors) == targets).float().mean() == 0.5


@by_number
def test_the_last_step_assigns_each_latent_to_the_anchor_nearest_to_its_end_point(num_anchors: int) -> None:
    latents, anchors = normal(3, 50, 8), normal(4, num_anchors, 8)
    targets = targets_half_right(latents, anchors, Euler())
    result = flow_to_anchors(latents, anchors, targets=targets, solver=Euler())
    assert torch.equal(result.assigned == targets, torch.arange(50) % 2 == 0)
    assert torch.equal(result.assigned, flow_to_anchors(latents, anchors).assigned)
    assert torch.equal(result.assigned, nearest_anchor(result.points, anchors))


@by_number
def test_equal_anchors_share_one_zone(num_anchors: int) -> None:
    anchors = normal(5, 1, 8).repeat(num_anchors, 1)
    targets = torch.arange(60) % num_anchors
    aligned = alignment_loss(
        normal(6, 60, 8), anchors, targets, solver=Euler(), num_skipped_steps=2, log=True
    )
    assert aligned.accuracy == 1


@by_number
def test_points_and_accuracy_have_no_gradient_and_the_loss_has(num_anchors: int) -> None:
    latents, anchors = leaf(normal(7, 50, 8)), leaf(normal(8, num_anchors, 8))
    targets = torch.arange(50) % num_anchors
    aligned = alignment_loss(latents, anchors, targets, solver=Euler(), num_skipped_steps=2, log=True)
    assert aligned.loss.requires_grad
    assert not aligned.accuracy.requires_grad
    assert not aligned.points.requires_grad
