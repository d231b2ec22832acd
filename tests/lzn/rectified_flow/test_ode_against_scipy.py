"""RK45 needs as many evaluations as `scipy.integrate.solve_ivp`, and has the same solution."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lzn_testing.oracles.ode_problems import PROBLEMS, Problem
from scipy.integrate import solve_ivp

from lzn.rectified_flow.ode import integrate_rk45


def scipy_solution(
    problem: Problem, t_start: float, t_end: float, tolerance: float
) -> tuple[np.ndarray, int]:
    def right_hand_side(t: float, y: np.ndarray) -> np.ndarray:
        x = torch.from_numpy(y).view_as(problem.x)
        return problem.velocity(x, torch.full((len(x),), t, dtype=torch.float64)).numpy().ravel()

    solution = solve_ivp(
        right_hand_side,
        (t_start, t_end),
        problem.x.numpy().ravel(),
        method="RK45",
        rtol=tolerance,
        atol=tolerance,
    )
    assert solution.success
    return solution.y[:, -1].reshape(problem.x.shape), solution.nfev


@pytest.mark.parametrize("tolerance", [1e-4, 1e-8])
@pytest.mark.parametrize("interval", [(1e-3, 1.0), (1.0, 1e-3), (0.0, 5.0)])
@pytest.mark.parametrize("name", PROBLEMS)
def test_rk45_has_the_evaluations_and_the_solution_of_scipy(
    name: str, interval: tuple[float, float], tolerance: float
):
    expected, num_evaluations = scipy_solution(PROBLEMS[name], *interval, tolerance)
    solution = integrate_rk45(
        PROBLEMS[name].velocity,
        PROBLEMS[name].x,
        t_start=interval[0],
        t_end=interval[1],
        rtol=tolerance,
        atol=tolerance,
    )
    assert solution.num_evaluations == num_evaluations
    # The steps are equal up to rounding, which these problems amplify by less than 1e4.
    np.testing.assert_allclose(solution.x.numpy(), expected, rtol=1e-10, atol=1e-10)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10_000),
    size=st.integers(1, 6),
    scale=st.floats(0.01, 10),
    backwards=st.booleans(),
)
def test_rk45_has_the_evaluations_of_scipy_on_random_linear_systems(
    seed: int, size: int, scale: float, backwards: bool
):
    generator = torch.Generator().manual_seed(seed)
    matrix = scale * torch.randn(size, size, generator=generator, dtype=torch.float64) / math.sqrt(size)
    x = torch.randn(3, size, generator=generator, dtype=torch.float64)
    problem = Problem(lambda x, t: (x @ matrix) * (1 + t[:, None]), x)
    t_start, t_end = (1.0, 0.0) if backwards else (0.0, 1.0)
    expected, num_evaluations = scipy_solution(problem, t_start, t_end, 1e-6)
    solution = integrate_rk45(problem.velocity, x, t_start=t_start, t_end=t_end, rtol=1e-6, atol=1e-6)
    assert solution.num_evaluations == num_evaluations
    # Solutions grow exponentially, so the tolerance is relative to the largest element.
    np.testing.assert_allclose(solution.x.numpy(), expected, rtol=0, atol=1e-10 * np.abs(expected).max())
