"""Layers that halve or double the resolution of feature maps and images (b, c, h, w)."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class NearestUpsample(nn.Module):
    """Nearest-neighbour upsampling: each pixel becomes four."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, c, h, w) to (b, c, 2h, 2w)."""
        return functional.interpolate(x, scale_factor=2, mode="nearest")


class AverageDownsample(nn.Module):
    """Average pooling: four pixels become their mean."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, c, h, w) to (b, c, h/2, w/2)."""
        return functional.avg_pool2d(x, kernel_size=2)


class FirUpsample(nn.Module):
    """Insert zeros between pixels, then convolve with 4 times the FIR kernel (a quarter of the samples is not zero).

    Zeros after each pixel and a padding of (2, 1) are a transposed convolution with stride 2 and padding 1.
    """

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernel", 4 * _fir_kernel(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, c, h, w) to (b, c, 2h, 2w)."""
        y = functional.conv_transpose2d(_as_planes(x), self.kernel.to(x.dtype), stride=2, padding=1)
        return y.view(*x.shape[:2], *y.shape[2:])


class FirDownsample(nn.Module):
    """Convolve with the FIR kernel, padding 1, and keep every second pixel."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernel", _fir_kernel(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, c, h, w) to (b, c, h/2, w/2)."""
        y = functional.conv2d(_as_planes(x), self.kernel.to(x.dtype), stride=2, padding=1)
        return y.view(*x.shape[:2], *y.shape[2:])


def upsample(*, fir: bool) -> nn.Module:
    """Build a layer that doubles the resolution, with the FIR kernel or by nearest neighbours."""
    return FirUpsample() if fir else NearestUpsample()


def downsample(*, fir: bool) -> nn.Module:
    """Build a layer that halves the resolution, with the FIR kernel or by averages."""
    return FirDownsample() if fir else AverageDownsample()


def _fir_kernel() -> Tensor:
    """Return the outer product of (1, 3, 3, 1) with itself, normalised to sum 1, as a weight (1, 1, 4, 4)."""
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
    kernel = torch.outer(taps, taps)
    return (kernel / kernel.sum())[None, None]


def _as_planes(x: Tensor) -> Tensor:
    return x.reshape(-1, 1, *x.shape[2:])  # (b, c, h, w) => (b*c, 1, h, w): one kernel for all channels
