"""Changes of the input that leave the flow unchanged, or change it in a known way."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lzn_testing.oracles.flow_problems import gradient, leaf, normal, positive, relative_error
from torch import Tensor

from lzn.flow import DPMSolver, Euler, Solver, compute_latents, flow_to_anchors
from lzn.flow.assignment import AnchorSet

# Each claim holds exactly for the solver's steps, up to rounding. In float64 the first step multiplies rounding (1e-16
# of the anchors' size, up to 30 after a shift) by 1/g = 100; anchors close together multiply it by some hundreds more.
# 1e-9 leaves a margin of at least 10.
EXACT = 1e-9
SOLVERS = [Euler(num_steps=12, g=0.01), DPMSolver(num_steps=12, g=0.01)]

solvers = st.sampled_from(SOLVERS)
seeds = st.integers(0, 10_000)
sizes = st.integers(2, 12)
dimensions = st.integers(1, 5)
property_test = settings(max_examples=15, deadline=None, derandomize=True)


def target_log_probability(latents: Tensor, anchors: Tensor, targets: Tensor, solver: Solver) -> Tensor:
    log_probability = flow_to_anchors(latents, anchors, targets=targets, solver=solver).target_log_probability
    assert log_probability is not None
    return log_probability


def random_rotation(seed: int, q: int) -> Tensor:
    return torch.linalg.qr(normal(seed, q, q)).Q


@property_test
@given(seed=seeds, n=sizes, q=dimensions, solver=solvers)
def test_the_order_of_anchors_has_no_effect(seed: int, n: int, q: int, solver: Solver):
    anchors, noise, weights = normal(seed, n, q), normal(seed + 1, n, q), positive(seed, n)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    z = compute_latents(anchors, noise, weights=weights, solver=solver)
    shuffled = compute_latents(anchors[order], noise[order], weights=weights[order], solver=solver)
    assert relative_error(shuffled, z[order]) < EXACT

    result = flow_to_anchors(noise, anchors, weights=weights, targets=order, solver=solver)
    # Anchor order[i] is now anchor i, so the target order[i] is now i.
    moved = flow_to_anchors(
        noise, anchors[order], weights=weights[order], targets=torch.arange(n), solver=solver
    )
    assert result.target_log_probability is not None
    assert moved.target_log_probability is not None
    assert relative_error(moved.points, result.points) < EXACT
    assert relative_error(moved.target_log_probability, result.target_log_probability) < EXACT


@property_test
@given(seed=seeds, n=sizes, q=dimensions, solver=solvers)
def test_a_latent_depends_only_on_its_own_noise(seed: int, n: int, q: int, solver: Solver):
    anchors, noise = normal(seed, n, q), normal(seed + 1, n, q)
    together = compute_latents(anchors, noise, solver=solver)
    alone = compute_latents(anchors, noise[1:2], rows=slice(1, 2), solver=solver)
    assert relative_error(alone, together[1:2]) < EXACT


@property_test
@given(seed=seeds, n=sizes, q=dimensions, solver=solvers, length=st.floats(0, 30))
def test_shifting_all_anchors_shifts_states_by_t_times_the_shift(
    seed: int, n: int, q: int, solver: Solver, length: float
):
    """A shift by c moves the state at time t by t c, at each step of each solver."""
    anchors, noise = normal(seed, n, q), normal(seed + 1, n, q)
    shift = length * torch.nn.functional.normalize(normal(seed + 2, q), dim=0)
    tau_of_latents = solver.grid_to_latents()[-1]
    z = compute_latents(anchors, noise, solver=solver)
    moved_z = compute_latents(anchors + shift, noise, solver=solver)
    assert relative_error(moved_z, z + (1 - tau_of_latents) * shift) < EXACT

    grid = solver.grid_to_anchors()
    points = flow_to_anchors(noise, anchors, solver=solver).points
    moved = flow_to_anchors(noise + (1 - grid[0]) * shift, anchors + shift, solver=solver).points
    assert relative_error(moved, points + (1 - grid[-1]) * shift) < EXACT


def test_latents_of_euler_do_not_depend_on_the_mean_anchor():
    # Euler ends at t = 0, where a shift has no effect. Case study 2 needs this.
    anchors, noise = normal(1, 8, 3), normal(2, 8, 3)
    z = compute_latents(anchors, noise, solver=SOLVERS[0])
    assert relative_error(compute_latents(anchors + 100.0, noise, solver=SOLVERS[0]), z) < EXACT


@property_test
@given(seed=seeds, n=sizes, q=dimensions)
def test_gradients_of_anchors_sum_to_zero(seed: int, n: int, q: int):
    """A common shift of the anchors does not change latents at t = 0."""
    anchors, noise, cotangent = leaf(normal(seed, n, q)), normal(seed + 1, n, q), normal(seed + 2, n, q)
    (compute_latents(anchors, noise, solver=SOLVERS[0]) * cotangent).sum().backward()
    assert gradient(anchors).sum(dim=0).norm() < EXACT * (1 + gradient(anchors).norm())


@property_test
@given(seed=seeds, n=sizes, q=dimensions, solver=solvers)
def test_rotated_anchors_give_rotated_latents_and_end_points(seed: int, n: int, q: int, solver: Solver):
    anchors, noise, rotation = normal(seed, n, q), normal(seed + 1, n, q), random_rotation(seed + 2, q)
    targets = torch.arange(n)
    z = compute_latents(anchors, noise, solver=solver)
    assert (
        relative_error(compute_latents(anchors @ rotation, noise @ rotation, solver=solver), z @ rotation)
        < EXACT
    )

    points = flow_to_anchors(noise, anchors, solver=solver).points
    rotated = flow_to_anchors(noise @ rotation, anchors @ rotation, solver=solver).points
    assert relative_error(rotated, points @ rotation) < EXACT
    log_probability = target_log_probability(noise, anchors, targets, solver)
    rotated_log = target_log_probability(noise @ rotation, anchors @ rotation, targets, solver)
    assert relative_error(rotated_log, log_probability) < EXACT


@property_test
@given(seed=seeds, n=sizes, q=dimensions, scale=st.floats(0.1, 10), tau=st.floats(0.05, 0.95))
def test_scaled_anchors_have_the_same_assignments_at_another_time(
    seed: int, n: int, q: int, scale: float, tau: float
):
    """s / t = a + (tau / t) eps, so anchors scaled by c have the same assignments where tau / t is scaled by c."""
    odds = scale * tau / (1 - tau)
    other_tau = odds / (1 + odds)
    anchors, states, targets = normal(seed, n, q), normal(seed + 1, n, q), torch.arange(n)
    stretch = scale * (1 - other_tau) / (1 - tau)
    small = AnchorSet.build(anchors, None, torch.float64)
    large = AnchorSet.build(scale * anchors, None, torch.float64)
    expected = small.keys(torch.float64).assign(small.to_centred(states, tau), tau, targets)
    actual = large.keys(torch.float64).assign(
        large.to_centred(stretch * states, other_tau), other_tau, targets
    )
    assert actual.target_log_probability is not None
    assert expected.target_log_probability is not None
    assert relative_error(actual.mean, scale * expected.mean) < EXACT
    # Also absolute, because a logarithm can be close to 0; logits reach (20 / 0.05)^2.
    torch.testing.assert_close(
        actual.target_log_probability, expected.target_log_probability, rtol=EXACT, atol=EXACT
    )


def test_scaling_anchors_and_the_odds_of_g_does_not_change_latents():
    """The exact flow has this symmetry. Euler has it in the limit of many steps."""
    anchors, noise, scale, g = normal(3, 6, 2), normal(4, 6, 2), 2.0, 0.2
    odds = scale * g / (1 - g)
    large_g = odds / (1 + odds)

    def gap(num_steps: int) -> float:
        z = compute_latents(anchors, noise, solver=Euler(num_steps, g))
        large = compute_latents(scale * anchors, noise, solver=Euler(num_steps, large_g))
        return relative_error(large, z)

    # Errors are of order 1: four times the steps give a quarter of the gap, up to the next order.
    assert gap(400) < 0.01
    assert gap(1600) == pytest.approx(gap(400) / 4, rel=0.1)


@property_test
@given(seed=seeds, n=sizes, q=dimensions, solver=solvers)
def test_equal_anchors_act_as_one_anchor_of_their_total_weight(seed: int, n: int, q: int, solver: Solver):
    counts = torch.randint(1, 4, (n,), generator=torch.Generator().manual_seed(seed))
    copies = torch.arange(n).repeat_interleave(counts)
    noise, cotangent = normal(seed + 1, n, q), normal(seed + 2, n, q)
    merged, repeated = leaf(normal(seed, n, q)), leaf(normal(seed, n, q)[copies])
    first_copies = counts.cumsum(dim=0) - counts

    z = compute_latents(merged, noise, weights=counts, solver=solver)
    (z * cotangent).sum().backward()
    z_repeated = compute_latents(repeated, noise, rows=first_copies, solver=solver)
    (z_repeated * cotangent).sum().backward()
    assert relative_error(z_repeated, z) < EXACT
    collected = torch.zeros(n, q, dtype=torch.float64).index_add_(0, copies, gradient(repeated))
    # An anchor's gradients as a starting point and as a key nearly cancel, so the sum may be small.
    assert float((collected - gradient(merged)).norm()) < EXACT * float(cotangent.norm())


@property_test
@given(seed=seeds, n=sizes, q=dimensions, solver=solvers)
def test_anchors_of_weight_zero_have_no_effect(seed: int, n: int, q: int, solver: Solver):
    anchors, noise, weights = leaf(normal(seed, n + 2, q)), normal(seed + 1, n, q), positive(seed, n + 2)
    weights[n:] = 0
    present = anchors.detach()[:n]
    z = compute_latents(anchors, noise, rows=slice(n), weights=weights, solver=solver)
    z.square().sum().backward()
    assert relative_error(z, compute_latents(present, noise, weights=weights[:n], solver=solver)) < EXACT
    assert torch.equal(gradient(anchors)[n:], torch.zeros(2, q, dtype=torch.float64))


@property_test
@given(seed=seeds, n=sizes, q=dimensions, solver=solvers, factor=st.floats(1e-3, 1e3))
def test_weights_are_relative(seed: int, n: int, q: int, solver: Solver, factor: float):
    anchors, noise, weights = normal(seed, n, q), normal(seed + 1, n, q), positive(seed, n)
    z = compute_latents(anchors, noise, weights=weights, solver=solver)
    assert relative_error(compute_latents(anchors, noise, weights=factor * weights, solver=solver), z) < EXACT
    uniform = compute_latents(anchors, noise, weights=torch.full((n,), factor), solver=solver)
    assert relative_error(uniform, compute_latents(anchors, noise, solver=solver)) < EXACT


@property_test
@given(seed=seeds, n=sizes, q=dimensions, solver=solvers)
def test_probabilities_of_all_targets_sum_to_one_at_each_step(seed: int, n: int, q: int, solver: Solver):
    latent, anchors = normal(seed, 1, q), normal(seed + 1, n, q)
    log_probability = target_log_probability(latent.expand(n, q), anchors, torch.arange(n), solver)
    assert log_probability.shape == (solver.num_steps, n)
    total = log_probability.exp().sum(dim=1)
    torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=EXACT)


@pytest.mark.parametrize("solver", SOLVERS, ids=["euler", "dpm"])
def test_the_first_probability_towards_anchors_is_the_weight(solver: Solver):
    # Euler starts at t = 0, where the assignment does not depend on the state; DPM-Solver++ at t = g = 0.01.
    latents, anchors, weights = normal(5, 4, 3), normal(6, 4, 3), positive(7, 4)
    flow = flow_to_anchors(latents, anchors, weights=weights, targets=torch.arange(4), solver=solver)
    assert flow.target_log_probability is not None
    # The logits' other terms are at most t |s| |a| = 0.01 * 12.
    tolerance = 1e-12 if isinstance(solver, Euler) else 0.12
    expected = (weights / weights.sum()).log()
    torch.testing.assert_close(flow.target_log_probability[0], expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("solver", SOLVERS, ids=["euler", "dpm"])
def test_alpha_scales_the_noise(solver: Solver):
    anchors, noise = normal(8, 7, 3), normal(9, 7, 3)
    scaled = compute_latents(anchors, noise, alpha=0.45, solver=solver)
    assert relative_error(scaled, compute_latents(anchors, 0.45 * noise, solver=solver)) < EXACT
    centre = compute_latents(anchors, noise, alpha=0.0, solver=solver)
    assert torch.equal(centre, compute_latents(anchors, -2 * noise, alpha=0.0, solver=solver))
    assert math.isfinite(float(centre.sum()))
