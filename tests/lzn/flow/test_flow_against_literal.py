"""The flow equals the paper's formulas written with an (m, n, q) tensor, in values and gradients."""

from dataclasses import dataclass

import pytest
import torch
from lzn_testing.oracles import literal_flow
from lzn_testing.oracles.flow_problems import gradient, leaf, normal, positive, relative_error
from torch import Tensor
from torch.autograd import gradcheck

from lzn.flow import (
    Adams,
    DPMSolver,
    Euler,
    Solver,
    alignment_loss,
    compute_latents,
    flow_to_anchors,
    nearest_anchor,
)
from lzn.flow.row_blocks import MAX_ROWS_ON_CPU

SOLVERS = [
    Euler(num_steps=20, g=1e-4),
    DPMSolver(num_steps=20, g=1e-3),
    DPMSolver(num_steps=6, g=1e-2),
    Adams(num_steps=10, g=1e-4),
]
DTYPES = [torch.float32, torch.float64]

# As in test_flow_reference: the project's tolerances for float32; float64 rounding times the factor 1/g <= 1e4.
VALUE = {torch.float32: 1e-4, torch.float64: 1e-9}
GRADIENT = {torch.float32: 1e-3, torch.float64: 1e-9}

by_solver = pytest.mark.parametrize("solver", SOLVERS, ids=["euler", "dpm", "dpm of few steps", "adams"])
by_dtype = pytest.mark.parametrize("dtype", DTYPES)


@dataclass(frozen=True)
class Sizes:
    """Numbers of states, anchors and dimensions."""

    m: int
    n: int
    q: int


# The first has more than one block of states.
SIZES = [Sizes(m=MAX_ROWS_ON_CPU + 44, n=7, q=3), Sizes(m=5, n=60, q=11), Sizes(m=1, n=2, q=1)]
by_sizes = pytest.mark.parametrize("sizes", SIZES, ids=str)


def representable(values: Tensor) -> Tensor:
    """Round to float32, so that both dtypes solve the same problem."""
    return values.float().double()


@by_dtype
@by_solver
@by_sizes
def test_latents_among_all_anchors_with_weights_equal_the_formula(
    sizes: Sizes, solver: Solver, dtype: torch.dtype
):
    anchors, noise = representable(normal(2, sizes.n, sizes.q)), representable(normal(3, sizes.m, sizes.q))
    rows = torch.arange(sizes.m) % sizes.n
    weights, cotangent = representable(positive(4, sizes.n)), normal(5, sizes.m, sizes.q)

    exact = [leaf(anchors), leaf(noise)]
    expected = literal_flow.latents(
        exact[0][rows], exact[1], solver, all_anchors=exact[0], weights=weights, alpha=0.7
    )
    (expected * cotangent).sum().backward()

    given = [leaf(anchors, dtype), leaf(noise, dtype)]
    z = compute_latents(given[0], given[1], rows=rows, weights=weights, alpha=0.7, solver=solver)
    (z * cotangent).sum().backward()

    assert relative_error(z, expected) < VALUE[dtype]
    for ours, literal in zip(given, exact, strict=True):
        assert relative_error(gradient(ours), gradient(literal)) < GRADIENT[dtype]


@by_dtype
@by_solver
def test_latents_of_a_batch_equal_the_formula(solver: Solver, dtype: torch.dtype):
    anchors, noise = representable(normal(6, 50, 6)), representable(normal(7, 50, 6))
    cotangent = normal(8, 50, 6)
    exact, given = leaf(anchors), leaf(anchors, dtype)
    expected = literal_flow.latents(exact, noise, solver)
    (expected * cotangent).sum().backward()
    z = compute_latents(given, noise.to(dtype), solver=solver)
    (z * cotangent).sum().backward()
    assert relative_error(z, expected) < VALUE[dtype]
    assert relative_error(gradient(given), gradient(exact)) < GRADIENT[dtype]


@by_dtype
@by_solver
@by_sizes
def test_end_points_and_target_probabilities_equal_the_formula(
    sizes: Sizes, solver: Solver, dtype: torch.dtype
):
    latents, anchors = representable(normal(9, sizes.m, sizes.q)), representable(normal(10, sizes.n, sizes.q))
    weights, targets = representable(positive(11, sizes.n)), (torch.arange(sizes.m) * 3) % sizes.n
    cotangent, log_cotangent = normal(12, sizes.m, sizes.q), normal(13, solver.num_steps, sizes.m)

    exact = [leaf(latents), leaf(anchors)]
    expected = literal_flow.solve(exact[0], exact[1], weights, solver, towards_anchors=True)
    expected_log = expected.log_probability[:, torch.arange(sizes.m), targets]
    # Near the anchors log-probabilities reach -1e6; without this factor they would hide all other values.
    damping = 1 / (1 + expected_log.detach().abs())
    ((expected.points * cotangent).sum() + (expected_log * log_cotangent * damping).sum()).backward()

    given = [leaf(latents, dtype), leaf(anchors, dtype)]
    result = flow_to_anchors(given[0], given[1], weights=weights, targets=targets, solver=solver)
    log_probability = result.target_log_probability
    assert log_probability is not None
    ((result.points * cotangent).sum() + (log_probability * log_cotangent * damping).sum()).backward()

    assert relative_error(result.points, expected.points) < VALUE[dtype]
    assert relative_error(log_probability * damping, expected_log * damping) < VALUE[dtype]
    for ours, literal in zip(given, exact, strict=True):
        assert relative_error(gradient(ours), gradient(literal)) < GRADIENT[dtype]


@by_dtype
@pytest.mark.parametrize("log", [True, False])
@by_solver
def test_the_alignment_loss_equals_the_formula(solver: Solver, log: bool, dtype: torch.dtype):
    latents, anchors = representable(normal(14, 40, 4)), representable(normal(15, 9, 4))
    weights, targets = representable(positive(16, 9)), torch.arange(40) % 9
    exact, given = [leaf(latents), leaf(anchors)], [leaf(latents, dtype), leaf(anchors, dtype)]

    flow = literal_flow.solve(exact[0], exact[1], weights, solver, towards_anchors=True)
    expected = literal_flow.alignment(flow.log_probability, targets, num_skipped_steps=2, log=log)
    expected.backward()
    loss = alignment_loss(
        given[0], given[1], targets, weights=weights, solver=solver, num_skipped_steps=2, log=log
    ).loss
    loss.backward()
    assert loss.shape == ()
    assert relative_error(loss, expected) < VALUE[dtype]
    for ours, literal in zip(given, exact, strict=True):
        assert relative_error(gradient(ours), gradient(literal)) < GRADIENT[dtype]


# Finite differences need a smooth flow: at g = 0.3 no step multiplies by more than 1 / 0.3.
SMOOTH = [
    Euler(num_steps=4, g=0.3),
    DPMSolver(num_steps=4, g=0.3),
    Adams(num_steps=5, g=0.3, straight_until=0.4),
]


@pytest.mark.parametrize("solver", SMOOTH, ids=["euler", "dpm", "adams"])
def test_gradients_of_latents_are_finite_differences(solver: Solver):
    def latents(anchors: Tensor, noise: Tensor, weights: Tensor) -> Tensor:
        rows = torch.tensor([3, 0, 3])
        return compute_latents(anchors, noise, rows=rows, weights=weights, alpha=0.8, solver=solver)

    inputs = leaf(normal(18, 4, 2)), leaf(normal(19, 3, 2)), positive(20, 4)
    assert gradcheck(latents, inputs)


@pytest.mark.parametrize("solver", SMOOTH, ids=["euler", "dpm", "adams"])
def test_gradients_of_the_flow_to_anchors_are_finite_differences(solver: Solver):
    def end_and_probability(latents: Tensor, anchors: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        targets = torch.tensor([2, 0, 3])
        flow = flow_to_anchors(latents, anchors, weights=weights, targets=targets, solver=solver)
        assert flow.target_log_probability is not None
        return flow.points, flow.target_log_probability

    assert gradcheck(end_and_probability, (leaf(normal(21, 3, 2)), leaf(normal(22, 4, 2)), positive(23, 4)))


def test_nearest_anchor_has_the_smallest_distance():
    # Far from the origin, a difference of squares of size 1e12 would lose distances of size 1e-3.
    anchors = 1e6 + 1e-3 * normal(24, 6, 5)
    points = 1e6 + 1e-3 * normal(25, 200, 5)
    distances = (points[:, None, :] - anchors[None, :, :]).norm(dim=2)
    assert torch.equal(nearest_anchor(points, anchors), distances.argmin(dim=1))
