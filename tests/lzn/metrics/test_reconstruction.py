"""Reconstruction error: closed forms, order of convergence, and the times of the ODE."""

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from lzn.metrics import reconstruction_error
from lzn.rectified_flow.ode import EulerSampler, RK45Sampler


def random_images(seed: int, b: int = 6, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.rand(b, 3, 4, 4, generator=torch.Generator().manual_seed(seed), dtype=dtype) * 2 - 1


def grow(x: Tensor, t: Tensor) -> Tensor:
    return x


def bend(x: Tensor, t: Tensor) -> Tensor:
    return torch.sin(3 * x) + t[:, None, None, None]


@pytest.mark.parametrize("tolerance", [1e-5, 1e-7, 1e-9])
def test_a_smooth_flow_is_inverted_up_to_the_tolerance_of_the_solver(tolerance: float):
    images = random_images(0)
    error = reconstruction_error(images, bend, sampler=RK45Sampler(rtol=tolerance, atol=tolerance))
    assert error.shape == (6,)
    # The norm of 48 elements, a dozen steps, and an amplification of errors by at most exp(3).
    assert error.max() < 7 * 12 * 20 * tolerance
    assert error.min() > 0


def test_the_euler_error_of_exponential_growth_equals_the_closed_form():
    images = random_images(1)
    n, h = 10, (1 - 1e-3) / 10
    error = reconstruction_error(images, grow, sampler=EulerSampler(num_steps=n))
    # Each backward step multiplies by 1 - h, and each forward step by 1 + h.
    expected = (1 - (1 - h**2) ** n) * images.flatten(1).norm(dim=1)
    torch.testing.assert_close(error, expected, rtol=1e-12, atol=0)


def test_the_euler_error_has_order_one():
    images = random_images(2)
    errors = [
        reconstruction_error(images, bend, sampler=EulerSampler(num_steps=n)).mean() for n in (100, 200, 400)
    ]
    for coarse, fine in pairwise(errors):
        # The next term has a relative size of 3 / n.
        assert math.log2(coarse / fine) == pytest.approx(1, abs=0.05)


def test_straight_paths_are_reconstructed_up_to_rounding():
    images = random_images(3, dtype=torch.float32)
    error = reconstruction_error(images, lambda x, t: torch.ones_like(x), sampler=EulerSampler(num_steps=1))
    # 48 pixels, with one rounding of numbers below 2 in each direction.
    assert error.max() < math.sqrt(48) * 2 * 1.2e-7


def test_the_error_of_a_flow_that_collapses_images_is_their_norm():
    images = random_images(4)

    def collapse(x: Tensor, t: Tensor) -> Tensor:
        # Backwards in time the image shrinks by exp(-50), below the threshold, and does not grow again.
        return torch.where(x.abs() < 1e-6, torch.zeros_like(x), 50 * x)

    error = reconstruction_error(images, collapse, sampler=EulerSampler(num_steps=1000))
    torch.testing.assert_close(error, images.flatten(1).norm(dim=1), rtol=1e-4, atol=0)


def test_each_image_has_its_own_error():
    images = torch.stack([torch.full((1, 2, 2), 0.0), torch.full((1, 2, 2), 1.0)]).double()
    error = reconstruction_error(images, grow, sampler=EulerSampler(num_steps=5))
    assert error[0] == 0
    assert error[1] > 0.01


def test_the_result_is_float64_for_float32_images():
    images = random_images(5, dtype=torch.float32)
    assert reconstruction_error(images, grow, sampler=RK45Sampler()).dtype == torch.float64


def test_the_velocity_is_called_only_between_t_min_and_one():
    times: list[float] = []

    def recorded(x: Tensor, t: Tensor) -> Tensor:
        times.append(float(t[0]))
        return grow(x, t)

    reconstruction_error(random_images(6), recorded, sampler=RK45Sampler(), t_min=0.25)
    # The last step ends exactly at the end.
    assert min(times) == 0.25
    assert max(times) == 1.0


def test_t_min_out_of_range_is_an_error():
    with pytest.raises(ValueError, match="t_min"):
        reconstruction_error(random_images(7), grow, sampler=RK45Sampler(), t_min=1.0)
