"""The paper's claims on latents (Gaussian in aggregate, disjoint zones, Theorem 1), and the solvers' convergence."""

import math
from itertools import pairwise
from statistics import NormalDist

import numpy as np
import pytest
import torch
from lzn_testing.oracles.flow_on_a_line import flow_on_a_line
from lzn_testing.oracles.flow_problems import normal, positive, relative_error
from torch import Tensor

from lzn.flow import Adams, DPMSolver, Euler, Solver, compute_latents, flow_to_anchors, nearest_anchor

LINE = torch.tensor([-1.3, 0.2, 0.9, 2.1], dtype=torch.float64)
LINE_WEIGHTS = torch.tensor([1.0, 2.0, 0.5, 1.0], dtype=torch.float64) / 4.5


def on_the_line(s: Tensor, tau: float, tau_end: float) -> Tensor:
    """Compute the exact flow of states (m, 1) among the anchors LINE."""
    end = flow_on_a_line(s[:, 0].numpy(), tau, tau_end, LINE.numpy(), LINE_WEIGHTS.numpy())
    return torch.as_tensor(end)[:, None]


def latent_error(solver: Solver) -> float:
    """Compute the largest error of the latents of LINE against the exact flow."""
    anchors, noise = LINE[:, None], normal(0, 4, 1)
    z = compute_latents(anchors, noise, weights=LINE_WEIGHTS, solver=solver)
    start = (1 - solver.g) * anchors + solver.g * noise
    return float((z - on_the_line(start, solver.g, solver.grid_to_latents()[-1])).abs().max())


def end_error(solver: Solver) -> float:
    """Compute the largest error of end points among LINE, for a solver that ends before t = 1."""
    z = torch.tensor([-1.5, -0.4, 0.3, 0.8, 1.7], dtype=torch.float64)[:, None]
    points = flow_to_anchors(z, LINE[:, None], weights=LINE_WEIGHTS, solver=solver).points
    grid = solver.grid_to_anchors()
    return float((points - on_the_line(z, grid[0], grid[-1])).abs().max())


def orders(errors: list[float]) -> list[float]:
    """Compute observed orders of convergence from errors at step sizes that halve."""
    return [math.log2(coarse / fine) for coarse, fine in pairwise(errors)]


def test_euler_converges_with_order_one():
    # At g = 0.3, 80 steps resolve the flow. Measured 0.99 to 1.00.
    assert orders([latent_error(Euler(r, 0.3)) for r in (80, 160, 320)]) == pytest.approx([1, 1], abs=0.05)


def test_dpm_solver_converges_with_order_two():
    """Its order is not 3: the first step is of order 1, and the public update halves a term (see `DPMSolver`)."""
    # Measured 1.99 to 2.00 (latents) and 1.96 to 2.00 (end points).
    assert orders([latent_error(DPMSolver(r, 0.3)) for r in (80, 160, 320)]) == pytest.approx([2, 2], abs=0.1)
    assert orders([end_error(DPMSolver(r, 0.3)) for r in (80, 160, 320)]) == pytest.approx([2, 2], abs=0.1)


def test_twenty_dpm_steps_have_a_smaller_error_than_a_hundred_euler_steps():
    # Measured 5e-4 against 6e-3.
    assert latent_error(DPMSolver(20, 0.3)) < 0.2 * latent_error(Euler(100, 0.3))


def test_zones_in_one_dimension_are_the_quantiles_of_the_weights():
    boundaries = torch.special.ndtri(LINE_WEIGHTS.cumsum(0)[:-1])
    z = torch.linspace(-2.5, 2.5, 201, dtype=torch.float64)
    # The error of 400 Euler steps moves a boundary by about 1 / 400.
    clear = ((z[:, None] - boundaries).abs() > 0.01).all(dim=1)
    assert clear.sum() > 190
    points = flow_to_anchors(z[clear][:, None], LINE[:, None], weights=LINE_WEIGHTS, solver=Euler(400)).points
    expected = torch.searchsorted(boundaries, z[clear])
    assert torch.equal(nearest_anchor(points, LINE[:, None]), expected)
    # At t = 1 all states are anchors.
    assert relative_error(points[:, 0], LINE[expected]) < 1e-9


@pytest.mark.parametrize("solver", [Euler(num_steps=20), DPMSolver(num_steps=20)], ids=["euler", "dpm"])
@pytest.mark.parametrize("alpha", [1.0, 0.45, 0.0])
def test_a_single_anchor_has_the_whole_latent_space_as_its_zone(solver: Solver, alpha: float):
    anchor, noise = normal(1, 1, 5), normal(2, 1, 5)
    z = compute_latents(anchor, noise, alpha=alpha, solver=solver)
    tau = solver.grid_to_latents()[-1]
    # D is constant, so every solver is exact: s_t = t a + (1 - t) alpha eps.
    expected = (1 - tau) * anchor + tau * alpha * noise
    # Rounding of a, divided by g = 1e-4.
    torch.testing.assert_close(z, expected, rtol=0, atol=1e-10)
    flow = flow_to_anchors(z, anchor, targets=torch.tensor([0]), solver=solver)
    assert flow.target_log_probability is not None
    tau_end = solver.grid_to_anchors()[-1]
    torch.testing.assert_close(
        flow.points, (1 - tau_end) * anchor + tau_end * alpha * noise, rtol=0, atol=1e-10
    )
    torch.testing.assert_close(
        flow.target_log_probability, torch.zeros(20, 1, dtype=torch.float64), rtol=0, atol=0
    )


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("solver", "num_samples"),
    [(Euler(num_steps=200), 4000), (DPMSolver(num_steps=60), 20_000)],
    ids=["euler", "dpm"],
)
def test_latents_of_all_samples_together_are_standard_normal(
    solver: Solver, num_samples: int, weighted: bool
):
    """Samples drawn by their weights, plus noise, have the density pi_t at t = 1 - g."""
    n, q = 5, 3
    anchors = normal(3, n, q)
    weights = positive(4, n) if weighted else torch.ones(n, dtype=torch.float64)
    share = weights / weights.sum()
    generator = torch.Generator().manual_seed(5)
    own = torch.multinomial(share, num_samples, replacement=True, generator=generator)
    noise = torch.randn(num_samples, q, generator=generator)
    z = compute_latents(anchors.float(), noise, rows=own, weights=weights, solver=solver).double()

    # DPM-Solver++ ends before t = 0, so the anchors still contribute to mean and covariance.
    tau = solver.grid_to_latents()[-1]
    mean = (1 - tau) * (share @ anchors)
    spread = (share[:, None] * (anchors - share @ anchors)).T @ (anchors - share @ anchors)
    covariance = tau**2 * torch.eye(q, dtype=torch.float64) + (1 - tau) ** 2 * spread
    # Four standard errors of a normal sample: 1 / sqrt(N), and sqrt(2 / N) on the diagonal. The solver's
    # error, measured with 100 000 samples, is below one of them.
    error = 4 / math.sqrt(num_samples)
    centred = z - mean
    assert (centred.mean(dim=0).abs() < error).all()
    allowed = error * (1 + (math.sqrt(2) - 1) * torch.eye(q))
    assert ((centred.T @ centred / num_samples - covariance).abs() < allowed).all()


def test_zone_centres_are_not_standard_normal():
    # So the test above can fail: centres (alpha = 0) have too small a variance.
    anchors = normal(3, 5, 3)
    own = torch.arange(1000) % 5
    z = compute_latents(anchors, normal(6, 1000, 3), rows=own, alpha=0.0, solver=DPMSolver(num_steps=60))
    assert float(z.T.cov().trace()) / 3 < 0.8


def test_adams_converges_with_order_two():
    """The first step has a local error of order 2 where it is not straight; the others are of order 3."""
    # The first step is as long as the others, so that all of them halve.
    errors = [latent_error(Adams(r, g=0.3, straight_until=0.3 + 0.7 / r)) for r in (80, 160, 320)]
    assert orders(errors) == pytest.approx([2, 2], abs=0.1)


def error_in_clusters(spread: float, solver: Solver) -> float:
    """Compute the relative error of latents among 8 clusters of 8 anchors in 60 dimensions."""
    anchors = normal(20, 8, 60).repeat_interleave(8, dim=0) + spread * normal(21, 64, 60)
    noise = normal(22, 64, 60)
    exact = compute_latents(anchors, noise, solver=Adams(400))
    return relative_error(compute_latents(anchors, noise, solver=solver), exact)


@pytest.mark.parametrize("spread", [0.3, 1.0])
def test_adams_has_a_smaller_error_than_euler_with_fewer_steps(spread: float):
    euler = error_in_clusters(spread, Euler(20))
    assert error_in_clusters(spread, Adams(20)) < euler / 4
    assert error_in_clusters(spread, Adams(10, straight_until=0.3)) < euler / 2


def test_more_steps_do_not_reduce_the_error_when_straight_until_is_too_large():
    # Neighbours are at distance 0.3 sqrt(120) = 3.3, so paths are straight until 1 / (1 + 12 / 3.3) = 0.2.
    late = [error_in_clusters(0.3, Adams(num_steps, straight_until=0.6)) for num_steps in (20, 80)]
    assert late[1] > 0.9 * late[0]
    assert late[1] > 10 * error_in_clusters(0.3, Adams(80, straight_until=0.2))


@pytest.mark.parametrize("g", [0.4, 0.5, 0.6])
def test_latents_lie_in_the_other_zone_with_the_probability_of_theorem_1(g: float):
    num_samples = 20_000
    anchors, own = torch.tensor([[-1.0], [1.0]]), torch.arange(num_samples) % 2
    noise = torch.randn(num_samples, 1, generator=torch.Generator().manual_seed(7))
    z = compute_latents(anchors, noise, rows=own, solver=Euler(num_steps=20, g=g))
    zone = nearest_anchor(flow_to_anchors(z, anchors, solver=Euler(num_steps=100)).points, anchors)
    outside = float((zone != own).double().mean())
    expected = NormalDist().cdf((g - 1) / g)
    # Four binomial standard errors. The solver adds no error: by symmetry no step crosses the boundary at 0.
    assert outside == pytest.approx(expected, abs=4 * math.sqrt(expected * (1 - expected) / num_samples))


def share_returned(solver: Solver) -> float:
    """Compute the share of 128 latents that flow back to their own anchor, in 16 dimensions."""
    anchors = 0.5 * normal(8, 128, 16)
    z = compute_latents(anchors, normal(9, 128, 16), solver=solver)
    points = flow_to_anchors(z, anchors, solver=solver).points
    return float((nearest_anchor(points, anchors) == torch.arange(128)).double().mean())


def test_latents_flow_back_to_their_own_anchor():
    assert share_returned(DPMSolver(num_steps=100)) == 1.0
    # Euler's steps in the two directions are not inverse, so latents near a boundary can change zones: measured 0.73
    # with 20 steps, 0.98 with 100.
    assert share_returned(Euler(num_steps=20)) < share_returned(Euler(num_steps=100))
    assert share_returned(Euler(num_steps=100)) > 0.9


def test_the_flow_to_latents_and_back_returns_to_its_start():
    # At g = 0.3 the flow is smooth, and DPM-Solver++ has the same end times in both directions. The remaining error is
    # of order 2: a quarter for half the step.
    anchors, noise = normal(10, 12, 4), normal(11, 12, 4)

    def gap(num_steps: int) -> float:
        solver = DPMSolver(num_steps, g=0.3)
        z = compute_latents(anchors, noise, solver=solver)
        return relative_error(flow_to_anchors(z, anchors, solver=solver).points, 0.7 * anchors + 0.3 * noise)

    assert gap(100) < 1e-3
    assert gap(200) == pytest.approx(gap(100) / 4, rel=0.2)


def test_the_exact_flow_has_the_velocity_of_the_paper():
    """The derivative of the oracle in t is (D - s) / (1 - t)."""
    s, tau, step = np.array([-1.0, 0.1, 0.8]), 0.5, 1e-4
    anchors, weights = LINE.numpy(), LINE_WEIGHTS.numpy()
    later = flow_on_a_line(s, tau, tau - step, anchors, weights)
    earlier = flow_on_a_line(s, tau, tau + step, anchors, weights)
    density = weights * np.exp(-((s[:, None] - (1 - tau) * anchors) ** 2) / (2 * tau**2))
    mean = (density * anchors).sum(axis=1) / density.sum(axis=1)
    # A central difference of step 1e-4 has an error of 1e-8 times the third derivative, below 100 here.
    np.testing.assert_allclose((later - earlier) / (2 * step), (mean - s) / tau, atol=1e-6)
