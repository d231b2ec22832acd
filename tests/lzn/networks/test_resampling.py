"""Resampling equals its definition: zeros between pixels, padding, kernel, every second pixel."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from lzn.networks.resampling import AverageDownsample, FirDownsample, FirUpsample, NearestUpsample

IMAGE = torch.randn(2, 3, 6, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
TAPS = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=torch.float64)
KERNEL = torch.outer(TAPS, TAPS) / 64


def correlate(padded: Tensor, kernel: Tensor) -> Tensor:
    """Compute the weighted sum of every 4x4 window."""
    height, width = padded.shape[2] - 3, padded.shape[3] - 3
    windows = [kernel[i, j] * padded[:, :, i : i + height, j : j + width] for i in range(4) for j in range(4)]
    return torch.stack(windows).sum(dim=0)


def literal_fir_upsample(x: Tensor) -> Tensor:
    with_zeros = x.new_zeros(*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3])
    with_zeros[:, :, ::2, ::2] = x
    return correlate(functional.pad(with_zeros, (2, 1, 2, 1)), 4 * KERNEL)


def literal_fir_downsample(x: Tensor) -> Tensor:
    return correlate(functional.pad(x, (1, 1, 1, 1)), KERNEL)[:, :, ::2, ::2]


def test_fir_upsampling_inserts_zeros_and_applies_the_kernel() -> None:
    torch.testing.assert_close(FirUpsample()(IMAGE), literal_fir_upsample(IMAGE))


def test_fir_downsampling_applies_the_kernel_and_keeps_every_second_pixel() -> None:
    torch.testing.assert_close(FirDownsample()(IMAGE), literal_fir_downsample(IMAGE))


@pytest.mark.parametrize("layer", [FirUpsample(), FirDownsample(), NearestUpsample(), AverageDownsample()])
def test_resampling_keeps_a_constant_image_away_from_its_border(layer: torch.nn.Module) -> None:
    resampled = layer(torch.full((1, 2, 8, 8), 0.7, dtype=torch.float64))
    inside = resampled[:, :, 1:-1, 1:-1]
    torch.testing.assert_close(inside, torch.full_like(inside, 0.7))


@pytest.mark.parametrize(
    ("layer", "height", "width"),
    [
        (FirUpsample(), 12, 16),
        (NearestUpsample(), 12, 16),
        (FirDownsample(), 3, 4),
        (AverageDownsample(), 3, 4),
    ],
)
def test_resampling_doubles_or_halves_height_and_width(
    layer: torch.nn.Module, height: int, width: int
) -> None:
    assert layer(IMAGE).shape == (2, 3, height, width)
