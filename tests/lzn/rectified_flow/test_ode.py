"""The ODE solvers: order of convergence, tolerance, inverse, and errors."""

import math
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lzn_testing.oracles.ode_problems import rotation
from torch import Tensor

from lzn.rectified_flow.ode import (
    EulerSampler,
    OdeError,
    RK45Sampler,
    Sampler,
    integrate_euler,
    integrate_rk45,
)


def decay(x: Tensor, t: Tensor) -> Tensor:
    return -x


def test_the_number_of_evaluations_is_the_number_of_calls_of_the_velocity():
    calls = []

    def counted(x: Tensor, t: Tensor) -> Tensor:
        calls.append(t)
        return decay(x, t)

    x = torch.ones(4, 2, dtype=torch.float64)
    solution = integrate_rk45(counted, x, t_start=0.0, t_end=1.0)
    assert solution.num_evaluations == len(calls)
    assert all(t.shape == (4,) and t.dtype == x.dtype and t.unique().numel() == 1 for t in calls)
    # All times are inside the interval: networks are not trained outside it.
    assert min(t.min() for t in calls) >= 0
    assert max(t.max() for t in calls) <= 1


def error_at_one(solve: Callable[[Tensor], Tensor]) -> float:
    start = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    exact = torch.tensor([[math.cos(3), math.sin(3)]], dtype=torch.float64)
    return float((solve(start) - exact).norm())


def test_euler_converges_with_order_one():
    errors = [
        error_at_one(lambda x, n=n: integrate_euler(rotation, x, t_start=0, t_end=1, num_steps=n).x)
        for n in (200, 400, 800)
    ]
    # Halving the step halves the error, up to a term of relative size 3 / n.
    for coarse, fine in pairwise(errors):
        assert math.log2(coarse / fine) == pytest.approx(1, abs=0.03)


def test_the_error_of_rk45_decreases_with_the_tolerance():
    errors = {
        tolerance: error_at_one(
            lambda x, tol=tolerance: integrate_rk45(rotation, x, t_start=0, t_end=1, rtol=tol, atol=tol).x
        )
        for tolerance in (1e-4, 1e-6, 1e-8, 1e-10)
    }
    # The tolerance bounds the order 4 error of each of 4 to 90 steps. The solution is of order 5.
    assert all(error < 10 * tolerance for tolerance, error in errors.items())
    assert errors[1e-10] < 1e-4 * errors[1e-4]


def test_euler_evaluates_at_the_start_of_each_equal_step():
    times = []

    def recorded(x: Tensor, t: Tensor) -> Tensor:
        times.append(float(t[0]))
        return torch.ones_like(x)

    x = torch.zeros(2, 3, dtype=torch.float64)
    solution = integrate_euler(recorded, x, t_start=0.2, t_end=1.0, num_steps=4)
    assert times == pytest.approx([0.2, 0.4, 0.6, 0.8], rel=1e-14)
    assert solution.num_evaluations == 4
    torch.testing.assert_close(solution.x, torch.full_like(x, 0.8), rtol=1e-14, atol=0)


@pytest.mark.parametrize("sampler", [EulerSampler(num_steps=1), EulerSampler(num_steps=7), RK45Sampler()])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_straight_paths_are_solved_exactly(sampler: Sampler, dtype: torch.dtype):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 1, 4, 4, generator=generator, dtype=dtype)
    direction = torch.randn(x.shape, generator=generator, dtype=dtype)
    solution = sampler.integrate(lambda x, t: direction, x, t_start=1e-3, t_end=1.0)
    assert solution.x.dtype == dtype
    # A dozen additions of numbers below 4.
    torch.testing.assert_close(solution.x, x + 0.999 * direction, rtol=0, atol=40 * torch.finfo(dtype).eps)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), tolerance=st.sampled_from([1e-5, 1e-7, 1e-9]))
def test_rk45_forward_then_inverse_returns_to_the_start(seed: int, tolerance: float):
    generator = torch.Generator().manual_seed(seed)
    matrix = torch.randn(4, 4, generator=generator, dtype=torch.float64)
    x = torch.randn(5, 4, generator=generator, dtype=torch.float64)
    sampler = RK45Sampler(rtol=tolerance, atol=tolerance)

    def velocity(x: Tensor, t: Tensor) -> Tensor:
        return torch.tanh(x @ matrix) + t[:, None]

    end = sampler.integrate(velocity, x, t_start=1e-3, t_end=1.0).x
    back = sampler.integrate(velocity, end, t_start=1.0, t_end=1e-3).x
    # The tolerance times |x| times a few dozen steps, amplified by at most exp(|matrix|), about 50 here.
    assert (back - x).abs().max() < 1000 * tolerance


def test_euler_inverse_approaches_the_start_with_more_steps():
    x = torch.randn(5, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    def gap(num_steps: int) -> float:
        sampler = EulerSampler(num_steps=num_steps)
        end = sampler.integrate(rotation, x, t_start=0.0, t_end=1.0).x
        return float((sampler.integrate(rotation, end, t_start=1.0, t_end=0.0).x - x).norm())

    # A step forward and back multiplies by 1 + (3 h)^2, so the gap is 9 / n |x| and the ratio 10.
    assert gap(1000) / gap(10_000) == pytest.approx(10, rel=0.01)


def test_the_whole_batch_has_one_step_size():
    slow = torch.tensor([[0.1, 0.0]], dtype=torch.float64)
    fast = torch.tensor([[50.0, 0.0]], dtype=torch.float64)

    def velocity(x: Tensor, t: Tensor) -> Tensor:
        return torch.sin(x) * x

    together = integrate_rk45(velocity, torch.cat([slow, fast]), t_start=0.0, t_end=1.0)
    alone = integrate_rk45(velocity, slow, t_start=0.0, t_end=1.0)
    assert together.num_evaluations > alone.num_evaluations


def test_float32_needs_as_many_evaluations_as_float64_at_the_papers_tolerance():
    x = torch.randn(64, 3, 8, 8, generator=torch.Generator().manual_seed(2), dtype=torch.float64)

    def velocity(x: Tensor, t: Tensor) -> Tensor:
        return torch.sin(3 * x) * torch.cos(4 * t)[:, None, None, None]

    double = integrate_rk45(velocity, x, t_start=1e-3, t_end=1.0)
    single = integrate_rk45(velocity, x.float(), t_start=1e-3, t_end=1.0)
    assert single.num_evaluations == double.num_evaluations
    # Step sizes agree to 1e-3, so the results differ by a fraction of the tolerance 1e-5.
    torch.testing.assert_close(single.x.double(), double.x, rtol=0, atol=1e-5)


def test_a_float64_state_stays_float64_with_a_float32_network():
    x = torch.ones(2, 2, dtype=torch.float64)
    solution = integrate_rk45(lambda x, t: decay(x.float(), t), x, t_start=0.0, t_end=1.0)
    assert solution.x.dtype == torch.float64


def test_equal_start_and_end_times_return_the_state_unchanged():
    x = torch.ones(2, 2)
    solution = integrate_rk45(decay, x, t_start=0.5, t_end=0.5)
    assert torch.equal(solution.x, x)
    assert solution.num_evaluations == 0


@pytest.mark.parametrize("sampler", [EulerSampler(num_steps=5), RK45Sampler()])
def test_a_velocity_that_becomes_nan_raises(sampler: Sampler):
    def velocity(x: Tensor, t: Tensor) -> Tensor:
        return torch.where(t[:, None] < 0.5, x, math.nan)

    with pytest.raises(OdeError, match="velocity is NaN"):
        sampler.integrate(velocity, torch.ones(2, 2), t_start=0.0, t_end=1.0)


def test_a_velocity_that_is_nan_at_the_start_raises_after_one_evaluation():
    calls = []

    def velocity(x: Tensor, t: Tensor) -> Tensor:
        calls.append(t)
        return x * math.nan

    with pytest.raises(OdeError, match="t = 0 is not finite"):
        integrate_rk45(velocity, torch.ones(2, 2), t_start=0.0, t_end=1.0)
    assert len(calls) == 1


def test_one_non_finite_sample_in_the_batch_raises():
    def velocity(x: Tensor, t: Tensor) -> Tensor:
        v = torch.ones_like(x)
        v[3] = math.inf
        return v

    with pytest.raises(OdeError, match="not finite"):
        integrate_rk45(velocity, torch.ones(8, 2), t_start=0.0, t_end=1.0)


def test_a_step_outside_the_domain_is_repeated_with_a_smaller_size():
    def velocity(x: Tensor, t: Tensor) -> Tensor:
        return -torch.sqrt(x)  # NaN below 0

    x = torch.tensor([[1.0]], dtype=torch.float64)
    solution = integrate_rk45(velocity, x, t_start=0.0, t_end=1.99, rtol=1e-8, atol=1e-8)
    # x = (1 - t / 2)^2, near its singular point: the tolerance times a hundred steps.
    assert solution.x.item() == pytest.approx((1 - 1.99 / 2) ** 2, abs=1e-6)


def test_a_solution_that_diverges_before_the_end_raises():
    def velocity(x: Tensor, t: Tensor) -> Tensor:
        return x**2  # x = 1 / (1 - t): infinite at t = 1

    with pytest.raises(OdeError):
        integrate_rk45(velocity, torch.ones(1, 1, dtype=torch.float64), t_start=0.0, t_end=2.0)


def test_too_many_evaluations_raise():
    sampler = RK45Sampler(rtol=1e-10, atol=1e-10, max_evaluations=50)
    x = torch.ones(1, 2, dtype=torch.float64)
    with pytest.raises(OdeError, match="after 50 evaluations"):
        sampler.integrate(rotation, x, t_start=0.0, t_end=10.0)


def test_arguments_out_of_range_raise():
    x = torch.ones(1, 2)
    with pytest.raises(ValueError, match="num_steps"):
        EulerSampler(num_steps=0)
    with pytest.raises(ValueError, match="atol"):
        RK45Sampler(atol=0.0)
    with pytest.raises(ValueError, match="rtol must be at least"):
        integrate_rk45(decay, x, t_start=0.0, t_end=1.0, rtol=1e-9)
    with pytest.raises(ValueError, match="float batch"):
        integrate_rk45(decay, torch.ones(2, 2, dtype=torch.int64), t_start=0.0, t_end=1.0)
    with pytest.raises(ValueError, match="finite"):
        integrate_euler(decay, x, t_start=0.0, t_end=math.inf, num_steps=3)
    with pytest.raises(ValueError, match="shape of x"):
        integrate_euler(lambda x, t: x[:, :1], x, t_start=0.0, t_end=1.0, num_steps=3)
