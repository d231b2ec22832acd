"""Changes of colour and sharpness for a batch, with one amount per image.

Images are float (b, c, h, w) in [0, 1], grey (c = 1) or colour (c = 3); amounts are (b,). The definitions are those of
torchvision, whose functions apply one amount to the whole batch.
"""

import torch
from torch import Tensor
from torch.nn import functional

from lzn.base.devices import constant

_GREY_WEIGHTS = (0.2989, 0.587, 0.114)  # of red, green and blue in the luma of ITU-R BT.601


def adjust_brightness(images: Tensor, factors: Tensor) -> Tensor:
    """Multiply by ``factors`` (b,) and clip to [0, 1]."""
    return (images * per_image(factors)).clamp(0.0, 1.0)


def adjust_contrast(images: Tensor, factors: Tensor) -> Tensor:
    """Move each pixel away from the image's mean luma (factor > 1) or towards it (factor < 1)."""
    return _blend(images, to_grey(images).mean(dim=(1, 2, 3), keepdim=True), factors)


def adjust_saturation(images: Tensor, factors: Tensor) -> Tensor:
    """Move each pixel away from its own luma (factor > 1) or towards it (factor < 1); grey images do not change."""
    return _blend(images, to_grey(images), factors)


def shift_hue(images: Tensor, shifts: Tensor) -> Tensor:
    """Rotate the hue of each pixel by ``shifts`` (b,) full turns; saturation and value (HSV) do not change.

    Grey images do not change.
    """
    if images.shape[1] == 1:
        return images
    value, low = images.amax(dim=1), images.amin(dim=1)
    chroma = value - low
    divisor = torch.where(chroma == 0, 1.0, chroma)
    red, green, blue = images.unbind(dim=1)
    # In sixths of a turn: red at 0, green at 2, blue at 4.
    sixths = torch.where(
        value == red,
        (green - blue) / divisor,
        torch.where(value == green, 2.0 + (blue - red) / divisor, 4.0 + (red - green) / divisor),
    )
    sixths = sixths + 6.0 * shifts[:, None, None]

    def channel(offset: int) -> Tensor:
        position = (sixths + offset).remainder(6.0)
        return value - chroma * torch.minimum(position, 4.0 - position).clamp(0.0, 1.0)

    return torch.stack([channel(5), channel(3), channel(1)], dim=1)


def to_grey(images: Tensor) -> Tensor:
    """Return the luma of each pixel, (b, 1, h, w)."""
    if images.shape[1] == 1:
        return images
    weights = constant(_GREY_WEIGHTS, dtype=torch.float32, device=images.device)[:, None, None]
    return (images * weights).sum(dim=1, keepdim=True)


def gaussian_blur(images: Tensor, sigmas: Tensor, *, kernel_size: int) -> Tensor:
    """Convolve with a Gaussian of ``sigmas`` (b,) pixels, truncated to ``kernel_size`` pixels; padding is reflective.

    Raises:
        ValueError: ``kernel_size`` is even, or a side of the images is at most ``kernel_size // 2`` pixels.
    """
    radius = kernel_size // 2
    if kernel_size % 2 != 1 or min(images.shape[2:]) <= radius:
        raise ValueError(
            "kernel_size must be odd and smaller than twice each side of the images, "
            f"got {kernel_size} for {images.shape[3]} x {images.shape[2]} pixels"
        )
    distances = torch.arange(-radius, radius + 1, device=images.device)
    weights = torch.softmax(-0.5 * (distances / sigmas[:, None]) ** 2, dim=1)
    padded = functional.pad(images, (radius,) * 4, mode="reflect")
    return _convolve(_convolve(padded, weights, dim=3), weights, dim=2)


def _convolve(images: Tensor, weights: Tensor, *, dim: int) -> Tensor:
    """Convolve along one dimension with symmetric weights (b, k).

    The code adds shifted images. PyTorch's convolution with one kernel per image is slower on CPU, and on GPU it
    may use TF32, which rounds to ten bits.
    """
    kernel_size = weights.shape[1]
    length, radius = images.shape[dim] - kernel_size + 1, kernel_size // 2
    result = images.narrow(dim, radius, length) * per_image(weights[:, radius])
    for tap in range(radius):
        pair = images.narrow(dim, tap, length) + images.narrow(dim, kernel_size - 1 - tap, length)
        result.addcmul_(pair, per_image(weights[:, tap]))
    return result


def _blend(images: Tensor, others: Tensor, factors: Tensor) -> Tensor:
    factors = per_image(factors)
    return (factors * images + (1.0 - factors) * others).clamp(0.0, 1.0)


def per_image(amounts: Tensor) -> Tensor:
    """Return amounts (b,) as (b, 1, 1, 1), which broadcast over images."""
    return amounts[:, None, None, None]
