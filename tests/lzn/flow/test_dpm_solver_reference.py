"""DPM-Solver++ against its public formulas, with the order of each step written down for each number of steps."""

import math

import pytest
import torch
from torch import Tensor

from lzn.flow import DPMSolver
from lzn.flow.multistep import integrate

ORDERS = {
    1: [1],
    2: [1, 1],
    3: [1, 2, 1],
    4: [1, 2, 2, 1],
    5: [1, 2, 3, 2, 1],
    9: [1, 2, 3, 3, 3, 3, 3, 2, 1],
    10: [1, 2, 3, 3, 3, 3, 3, 3, 3, 3],
    20: [1, 2, *[3] * 18],
}
"""The public code takes lower orders at the end only with fewer than 10 steps (``lower_order_final``)."""


def posterior_mean(state: Tensor, tau: float) -> Tensor:
    """Return some smooth function of the state and the noise level; it has no symmetry that could hide an error."""
    return (1.3 * state + tau).tanh() - 0.4 * math.cos(5 * tau) * state


def lam(tau: float) -> float:
    return math.log((1 - tau) / tau)


def update(state: Tensor, means: list[Tensor], taus: list[float], order: int) -> Tensor:
    """Compute one step of ``multistep_dpm_solver_{first,second,third}_update`` of arXiv:2211.01095's public code.

    ``taus`` are the noise levels of the ``means`` so far and, last, that of the result.
    """
    *_, tau, tau_next = taus
    alpha, h = 1 - tau_next, lam(tau_next) - lam(tau)
    phi_1 = math.expm1(-h)
    result = tau_next / tau * state - alpha * phi_1 * means[-1]
    if order == 1:
        return result
    r_0 = (lam(tau) - lam(taus[-3])) / h
    d_1_0 = (means[-1] - means[-2]) / r_0
    if order == 2:
        return result - 0.5 * alpha * phi_1 * d_1_0
    r_1 = (lam(taus[-3]) - lam(taus[-4])) / h
    d_1_1 = (means[-2] - means[-3]) / r_1
    d_1 = d_1_0 + r_0 / (r_0 + r_1) * (d_1_0 - d_1_1)
    d_2 = (d_1_0 - d_1_1) / (r_0 + r_1)
    phi_2 = phi_1 / h + 1
    phi_3 = phi_2 / h - 0.5
    return result + alpha * phi_2 * d_1 - alpha * phi_3 * d_2


@pytest.mark.parametrize("towards_anchors", [False, True])
@pytest.mark.parametrize("num_steps", ORDERS)
def test_dpm_solver_takes_the_steps_of_the_public_code(num_steps: int, towards_anchors: bool) -> None:
    solver = DPMSolver(num_steps=num_steps)
    grid = list(solver.grid_to_anchors() if towards_anchors else solver.grid_to_latents())
    start = torch.linspace(-1, 2, 7, dtype=torch.float64)[:, None]
    state, means = start, []
    for step, order in enumerate(ORDERS[num_steps]):
        means.append(posterior_mean(state, grid[step]))
        state = update(state, means, grid[: step + 2], order)
    found = integrate(start, solver.steps(grid), posterior_mean)
    # The same float64 formulas, summed in another order; factors reach 1000 where tau is 0.001.
    torch.testing.assert_close(found, state, rtol=1e-9, atol=1e-9)
