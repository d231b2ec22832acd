"""The straight path from noise to images, its velocity, the loss and the training times."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lzn_testing.random_numbers import seeded

from lzn.rectified_flow.path import interpolate, rectified_flow_loss, target_velocity, training_times


def images_and_noise(seed: int, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    generator = seeded(seed)
    images = torch.rand(5, 3, 4, 4, generator=generator, dtype=dtype) * 2 - 1
    return images, torch.randn(5, 3, 4, 4, generator=generator, dtype=dtype)


def test_path_starts_at_the_noise_and_ends_at_the_images():
    images, noise = images_and_noise(0)
    # 0 * finite and 1 * finite are exact, so no tolerance is needed.
    assert torch.equal(interpolate(images, noise, torch.zeros(5, dtype=torch.float64)), noise)
    assert torch.equal(interpolate(images, noise, torch.ones(5, dtype=torch.float64)), images)


def test_each_image_has_its_own_time():
    images, noise = images_and_noise(1)
    t = torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0], dtype=torch.float64)
    x_t = interpolate(images, noise, t)
    for i in range(5):
        # The same three float64 operations on the same numbers.
        assert torch.equal(x_t[i], (1 - t[i]) * noise[i] + t[i] * images[i])


@settings(max_examples=30, derandomize=True)
@given(seed=st.integers(0, 1000), t=st.floats(0, 1), s=st.floats(0, 1))
def test_a_step_with_the_target_velocity_stays_on_the_path(seed: int, t: float, s: float):
    images, noise = images_and_noise(seed)
    x_t = interpolate(images, noise, torch.full((5,), t, dtype=torch.float64))
    x_s = interpolate(images, noise, torch.full((5,), s, dtype=torch.float64))
    moved = x_t + (s - t) * target_velocity(images, noise)
    # Five float64 operations on numbers below 10.
    torch.testing.assert_close(moved, x_s, rtol=0, atol=1e-14)


def test_the_loss_is_the_squared_offset_from_the_target():
    images, noise = images_and_noise(4)
    target = target_velocity(images, noise)
    assert rectified_flow_loss(target, images, noise).item() == 0
    # (v + 0.5 - v)^2 is 0.25 up to rounding of v + 0.5.
    assert rectified_flow_loss(target + 0.5, images, noise).item() == pytest.approx(0.25, rel=1e-14)


def test_loss_averages_over_images_and_pixels():
    images, noise = images_and_noise(5)
    velocity = torch.randn(images.shape, generator=seeded(6), dtype=torch.float64)
    pixels = torch.stack([velocity, images, noise]).flatten(1).T.tolist()
    total = sum((v - (x - e)) ** 2 for v, x, e in pixels)
    # 240 float64 additions in another order.
    assert rectified_flow_loss(velocity, images, noise).item() == pytest.approx(total / 240, rel=1e-13)


def test_gradient_of_the_loss_is_the_scaled_residual():
    images, noise = images_and_noise(7)
    velocity = torch.zeros_like(images, requires_grad=True)
    rectified_flow_loss(velocity, images, noise).backward()
    expected = 2 * (velocity - (images - noise)).detach() / images.numel()
    torch.testing.assert_close(velocity.grad, expected, rtol=1e-14, atol=0)


def test_times_are_uniform_between_t_min_and_one():
    t = training_times(torch.rand(20_000, generator=seeded(8)), t_min=0.2)
    assert t.min() >= 0.2
    assert t.max() <= 1.0
    # Kolmogorov-Smirnov: the gap of n uniform samples exceeds 1.95 / sqrt(n) for one seed in 1000.
    uniform = ((t.double() - 0.2) / 0.8).sort().values
    gap = (uniform - torch.arange(1, 20_001, dtype=torch.float64) / 20_000).abs().max()
    assert gap < 1.95 / 20_000**0.5


def test_the_smallest_time_is_the_papers_by_default():
    assert training_times(torch.zeros(1)).item() == pytest.approx(1e-3, rel=1e-6)


@pytest.mark.parametrize("t_min", [-0.1, 1.0, float("nan")])
def test_a_t_min_out_of_range_raises(t_min: float):
    with pytest.raises(ValueError, match="t_min"):
        training_times(torch.zeros(3), t_min=t_min)


def test_shapes_that_would_broadcast_raise():
    images, noise = images_and_noise(10)
    with pytest.raises(ValueError, match="noise"):
        interpolate(images, noise[:1], torch.zeros(5))
    with pytest.raises(ValueError, match="one time per image"):
        interpolate(images, noise, torch.zeros(()))
    with pytest.raises(ValueError, match="velocity"):
        rectified_flow_loss(noise[:, :1], images, noise)
