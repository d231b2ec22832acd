"""Autocast has no effect inside the flow: values and gradients equal those of full precision, bit for bit."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from lzn.flow import (
    DPMSolver,
    Euler,
    Solver,
    alignment_loss,
    alignment_objective,
    compute_latents,
    flow_to_anchors,
    nearest_anchor,
)

NUM, DIM = 12, 8
TARGETS = torch.arange(NUM).roll(1)
WEIGHTS = torch.arange(1.0, NUM + 1)

Flow = Callable[[Tensor, Tensor, Solver], Tensor]


def latents(points: Tensor, noise: Tensor, solver: Solver) -> Tensor:
    return compute_latents(points, noise, weights=WEIGHTS, solver=solver)


def end_points(points: Tensor, noise: Tensor, solver: Solver) -> Tensor:
    return flow_to_anchors(noise, points, weights=WEIGHTS, solver=solver).points


def log_alignment(points: Tensor, noise: Tensor, solver: Solver) -> Tensor:
    return alignment_loss(noise, points, TARGETS, solver=solver, num_skipped_steps=2, log=True).loss


def plain_alignment(points: Tensor, noise: Tensor, solver: Solver) -> Tensor:
    return alignment_loss(noise, points, TARGETS, solver=solver, num_skipped_steps=2, log=False).loss


FLOWS = [latents, end_points, log_alignment, plain_alignment]
SOLVERS = [Euler(num_steps=10), DPMSolver(num_steps=12)]


def random_points(seed: int, dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(NUM, DIM, generator=generator).to(dtype).requires_grad_()


def results(
    flow: Flow, solver: Solver, *, autocast: bool, backward_inside: bool = False, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute the value of ``flow``, and the gradients of its sum of squares."""
    points, noise = random_points(0, dtype), random_points(1)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        value = flow(points, noise, solver)
        if backward_inside:
            value.square().sum().backward()
    if not backward_inside:
        value.square().sum().backward()
    assert points.grad is not None
    assert noise.grad is not None
    return value.detach(), points.grad, noise.grad


@pytest.mark.parametrize("solver", SOLVERS, ids=["euler", "dpm"])
@pytest.mark.parametrize("flow", FLOWS)
@pytest.mark.parametrize("backward_inside", [False, True], ids=["backward_outside", "backward_inside"])
def test_autocast_changes_no_value_or_gradient_of_float32_anchors(
    flow: Flow, solver: Solver, backward_inside: bool
) -> None:
    expected = results(flow, solver, autocast=False, dtype=torch.float32)
    found = results(flow, solver, autocast=True, backward_inside=backward_inside, dtype=torch.float32)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("flow", FLOWS)
def test_bfloat16_anchors_give_the_values_of_equal_float32_anchors(flow: Flow) -> None:
    """A network under autocast outputs bfloat16 anchors; only their gradient is rounded."""
    rounded = random_points(0).detach().bfloat16()
    exact = rounded.float().requires_grad_()
    value = flow(exact, random_points(1), SOLVERS[0])
    value.square().sum().backward()
    found, gradient, _ = results(flow, SOLVERS[0], autocast=True, dtype=torch.bfloat16)
    assert torch.equal(found, value)
    assert found.dtype == torch.float32
    assert gradient.dtype == torch.bfloat16
    # One rounding to bfloat16.
    torch.testing.assert_close(gradient.float(), exact.grad, rtol=2**-8, atol=0)


def test_bfloat16_latents_give_float32_results() -> None:
    bfloat16_latents = random_points(1).detach().bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        result = flow_to_anchors(bfloat16_latents, random_points(0), targets=TARGETS)
    expected = flow_to_anchors(bfloat16_latents.float(), random_points(0), targets=TARGETS)
    assert torch.equal(result.points, expected.points)
    assert result.points.dtype == torch.float32
    assert result.target_log_probability is not None
    assert result.target_log_probability.dtype == torch.float32


def test_autocast_does_not_change_the_objective_or_nearest_anchors() -> None:
    log_probability = -random_points(3).detach().square()
    points, anchors = random_points(4).detach(), random_points(5).detach()
    expected = [alignment_objective(log_probability, num_skipped_steps=2, log=log) for log in (False, True)]
    nearest = nearest_anchor(points, anchors)
    with torch.autocast("cpu", torch.bfloat16):
        found = [alignment_objective(log_probability, num_skipped_steps=2, log=log) for log in (False, True)]
        assert torch.equal(nearest_anchor(points, anchors), nearest)
    assert [value.item() for value in found] == [value.item() for value in expected]
