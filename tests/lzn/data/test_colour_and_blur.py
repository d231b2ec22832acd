"""Colour changes and blur: the same as torchvision's functions on single images."""

import math
from collections.abc import Callable

import pytest
import torch
from lzn_testing.random_numbers import seeded
from torch import Tensor
from torchvision.transforms.v2 import functional as torchvision_functional

from lzn.data.colour_and_blur import (
    adjust_brightness,
    adjust_contrast,
    adjust_saturation,
    gaussian_blur,
    shift_hue,
    to_grey,
)

BatchedChange = Callable[[Tensor, Tensor], Tensor]

# Both compute in float32 on numbers up to 1, with the same few operations in another order.
ROUNDING = {"atol": 2e-6, "rtol": 0.0}


def random_images(num: int = 12, channels: int = 3, height: int = 9, width: int = 14) -> Tensor:
    """Random pixels; some are black, white, grey or saturated, or have two equal channels."""
    images = torch.rand(num, channels, height, width, generator=seeded(1))
    extremes = torch.rand(num, channels, height, 4, generator=seeded(2)).round()
    images[..., :4] = extremes
    images[..., 4] = images[:, :1, :, 4]
    images[:, :2, :, 5] = images[:, :1, :, 5]
    return images


def amounts_between(low: float, high: float, num: int = 12) -> Tensor:
    return torch.linspace(low, high, num)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("change", "reference", "amounts"),
    [
        (adjust_brightness, torchvision_functional.adjust_brightness, amounts_between(0.0, 1.8)),
        (adjust_contrast, torchvision_functional.adjust_contrast, amounts_between(0.0, 1.8)),
        (adjust_saturation, torchvision_functional.adjust_saturation, amounts_between(0.0, 1.8)),
        (shift_hue, torchvision_functional.adjust_hue, amounts_between(-0.5, 0.5)),
    ],
)
def test_each_image_changes_as_with_torchvision(
    change: BatchedChange, reference: Callable[[Tensor, float], Tensor], amounts: Tensor, channels: int
) -> None:
    images = random_images(channels=channels)
    expected = torch.stack(
        [reference(image, float(amount)) for image, amount in zip(images, amounts, strict=True)]
    )
    torch.testing.assert_close(change(images, amounts), expected, **ROUNDING)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kernel_size", [1, 3, 11, 15])
def test_each_image_is_blurred_as_with_torchvision(kernel_size: int, channels: int) -> None:
    images = random_images(channels=channels)
    sigmas = amounts_between(0.1, 2.0)
    expected = torch.stack(
        [
            torchvision_functional.gaussian_blur(image, [kernel_size, kernel_size], [float(sigma)])
            for image, sigma in zip(images, sigmas, strict=True)
        ]
    )
    torch.testing.assert_close(gaussian_blur(images, sigmas, kernel_size=kernel_size), expected, **ROUNDING)


def test_a_blurred_point_is_the_gaussian() -> None:
    image = torch.zeros(1, 1, 41, 41)
    image[0, 0, 20, 20] = 1.0
    sigma = 1.5
    spread = gaussian_blur(image, torch.tensor([sigma]), kernel_size=23)[0, 0]
    squares = (torch.arange(41) - 20).square()
    density = torch.exp(-(squares[:, None] + squares) / (2 * sigma**2)) / (2 * math.pi * sigma**2)
    # The sum over pixels differs from the integral by 2 exp(-2 pi^2 sigma^2), below 1e-18 here; the kernel is
    # truncated at 7 standard deviations.
    torch.testing.assert_close(spread, density, atol=1e-6, rtol=0)


def test_grey_is_the_same_as_with_torchvision() -> None:
    images = random_images()
    expected = torchvision_functional.rgb_to_grayscale(images)
    torch.testing.assert_close(to_grey(images), expected, **ROUNDING)


@pytest.mark.parametrize("turn", [1 / 3, -2 / 3])
def test_a_third_of_a_turn_makes_red_green_green_blue_and_blue_red(turn: float) -> None:
    images = random_images()
    turned = shift_hue(images, torch.full((12,), turn))
    # A third of a turn permutes the channels exactly; the hue near grey is ill-conditioned, but the colour is not.
    torch.testing.assert_close(turned, images[:, [2, 0, 1]], **ROUNDING)


def test_neutral_amounts_do_not_change_the_images() -> None:
    images = random_images()
    ones, zeros = torch.ones(12), torch.zeros(12)
    assert torch.equal(adjust_brightness(images, ones), images)
    assert torch.equal(adjust_contrast(images, ones), images)
    assert torch.equal(adjust_saturation(images, ones), images)
    torch.testing.assert_close(shift_hue(images, zeros), images, **ROUNDING)


@pytest.mark.parametrize(
    ("kernel_size", "shape"), [(4, (12, 3, 9, 14)), (19, (12, 3, 9, 14)), (19, (12, 3, 14, 9))]
)
def test_an_even_or_too_large_kernel_is_an_error(kernel_size: int, shape: tuple[int, ...]) -> None:
    with pytest.raises(
        ValueError, match=f"kernel_size must be odd.*got {kernel_size} for {shape[3]} x {shape[2]}"
    ):
        gaussian_blur(torch.zeros(shape), torch.ones(12), kernel_size=kernel_size)
