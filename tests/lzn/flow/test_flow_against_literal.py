"""The blocked attention form gives what the paper's formulas give, written out with an (m, n, q) tensor."""

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
from lzn.flow.assignment import ROWS_PER_BLOCK

SOLVERS = [
    Euler(num_steps=20, g=1e-4),
    DPMSolver(num_steps=20, g=1e-3),
    DPMSolver(num_steps=6, g=1e-2),
    Adams(num_steps=10, g=1e-4),
]
DTYPES = [torch.float32, torch.float64]

# As against the reference: float32 as promised; in float64, rounding times the first step's factor 1/g <= 1e4.
VALUE = {torch.float32: 1e-4, torch.float64: 1e-9}
GRADIENT = {torch.float32: 1e-3, torch.float64: 1e-9}

by_solver = pytest.mark.parametrize("solver", SOLVERS, ids=["euler", "dpm", "dpm of few steps", "adams"])
by_dtype = pytest.mark.parametrize("dtype", DTYPES)


@dataclass(frozen=True)
class Sizes:
    """Numbers of states, of anchors, and dimensions; more states than a block holds in the first."""

    m: int
    n: int
    q: int


SIZES = [Sizes(m=ROWS_PER_BLOCK + 44, n=7, q=3), Sizes(m=5, n=60, q=11), Sizes(m=1, n=2, q=1)]
by_sizes = pytest.mark.parametrize("sizes", SIZES, ids=str)


def representable(values: Tensor) -> Tensor:
    """Float64 values that float32 holds exactly, so that both dtypes solve one problem."""
    return values.float().double()


@by_dtype
@by_solver
@by_sizes
def test_latents_among_other_anchors_with_weights(sizes: Sizes, solver: Solver, dtype: torch.dtype):
    own, everyone = representable(normal(1, sizes.m, sizes.q)), representable(normal(2, sizes.n, sizes.q))
    # The samples' own anchors are rows of all anchors, as after gathering: elsewhere the flow starts 1/g away.
    own = everyone[torch.arange(sizes.m) % sizes.n] + solver.g * own
    own, noise = representable(own), representable(normal(3, sizes.m, sizes.q))
    weights, cotangent = representable(positive(4, sizes.n)), normal(5, sizes.m, sizes.q)

    exact = [leaf(own), leaf(everyone), leaf(noise)]
    expected = literal_flow.latents(
        exact[0], exact[2], solver, all_anchors=exact[1], weights=weights, alpha=0.7
    )
    (expected * cotangent).sum().backward()

    given = [leaf(own, dtype), leaf(everyone, dtype), leaf(noise, dtype)]
    z = compute_latents(given[0], given[2], all_anchors=given[1], weights=weights, alpha=0.7, solver=solver)
    (z * cotangent).sum().backward()

    assert relative_error(z, expected) < VALUE[dtype]
    for ours, literal in zip(given, exact, strict=True):
        assert relative_error(gradient(ours), gradient(literal)) < GRADIENT[dtype]


@by_dtype
@by_solver
def test_latents_of_a_batch(solver: Solver, dtype: torch.dtype):
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
def test_flow_to_anchors_and_every_targets_probability(sizes: Sizes, solver: Solver, dtype: torch.dtype):
    latents, anchors = representable(normal(9, sizes.m, sizes.q)), representable(normal(10, sizes.n, sizes.q))
    weights, targets = representable(positive(11, sizes.n)), (torch.arange(sizes.m) * 3) % sizes.n
    cotangent, log_cotangent = normal(12, sizes.m, sizes.q), normal(13, solver.num_steps, sizes.m)

    exact = [leaf(latents), leaf(anchors)]
    expected = literal_flow.solve(exact[0], exact[1], weights, solver, towards_anchors=True)
    expected_log = expected.log_probability[:, torch.arange(sizes.m), targets]
    # Near the anchors log-probabilities reach -1e6; without the factor nothing else would count.
    damping = 1 / (1 + expected_log.detach().abs())
    ((expected.points * cotangent).sum() + (expected_log * log_cotangent * damping).sum()).backward()

    given = [leaf(latents, dtype), leaf(anchors, dtype)]
    arrival = flow_to_anchors(given[0], given[1], weights=weights, targets=targets, solver=solver)
    log_probability = arrival.target_log_probability
    assert log_probability is not None
    ((arrival.points * cotangent).sum() + (log_probability * log_cotangent * damping).sum()).backward()

    assert relative_error(arrival.points, expected.points) < VALUE[dtype]
    assert relative_error(log_probability * damping, expected_log * damping) < VALUE[dtype]
    for ours, literal in zip(given, exact, strict=True):
        assert relative_error(gradient(ours), gradient(literal)) < GRADIENT[dtype]


@by_dtype
@pytest.mark.parametrize("log", [True, False])
@by_solver
def test_alignment_loss(solver: Solver, log: bool, dtype: torch.dtype):
    latents, anchors = representable(normal(14, 40, 4)), representable(normal(15, 9, 4))
    weights, targets = representable(positive(16, 9)), torch.arange(40) % 9
    exact, given = [leaf(latents), leaf(anchors)], [leaf(latents, dtype), leaf(anchors, dtype)]

    flow = literal_flow.solve(exact[0], exact[1], weights, solver, towards_anchors=True)
    expected = literal_flow.alignment(flow.log_probability, targets, num_skipped_steps=2, log=log)
    expected.backward()
    loss = alignment_loss(
        given[0], given[1], targets, weights=weights, solver=solver, num_skipped_steps=2, log=log
    )
    loss.backward()
    assert loss.shape == ()
    assert relative_error(loss, expected) < VALUE[dtype]
    for ours, literal in zip(given, exact, strict=True):
        assert relative_error(gradient(ours), gradient(literal)) < GRADIENT[dtype]


# Finite differences need a flow without steep places: at g = 0.3 no step multiplies by more than 1 / 0.3.
MILD = [
    Euler(num_steps=4, g=0.3),
    DPMSolver(num_steps=4, g=0.3),
    Adams(num_steps=5, g=0.3, straight_until=0.4),
]


@pytest.mark.parametrize("solver", MILD, ids=["euler", "dpm", "adams"])
def test_gradients_of_latents_are_finite_differences(solver: Solver):
    def latents(own: Tensor, everyone: Tensor, noise: Tensor, weights: Tensor) -> Tensor:
        return compute_latents(own, noise, all_anchors=everyone, weights=weights, alpha=0.8, solver=solver)

    inputs = leaf(normal(17, 3, 2)), leaf(normal(18, 4, 2)), leaf(normal(19, 3, 2)), positive(20, 4)
    assert gradcheck(latents, inputs)


@pytest.mark.parametrize("solver", MILD, ids=["euler", "dpm", "adams"])
def test_gradients_of_the_flow_to_anchors_are_finite_differences(solver: Solver):
    def arrival(latents: Tensor, anchors: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        targets = torch.tensor([2, 0, 3])
        flow = flow_to_anchors(latents, anchors, weights=weights, targets=targets, solver=solver)
        assert flow.target_log_probability is not None
        return flow.points, flow.target_log_probability

    assert gradcheck(arrival, (leaf(normal(21, 3, 2)), leaf(normal(22, 4, 2)), positive(23, 4)))


def test_nearest_anchor_is_the_one_of_least_distance():
    # Far from the origin: squares of 1e12 would hide distances of 1e-3, were they subtracted from each other.
    anchors = 1e6 + 1e-3 * normal(24, 6, 5)
    points = 1e6 + 1e-3 * normal(25, 200, 5)
    distances = (points[:, None, :] - anchors[None, :, :]).norm(dim=2)
    assert torch.equal(nearest_anchor(points, anchors), distances.argmin(dim=1))
