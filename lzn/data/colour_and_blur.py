"""Changes of colour and sharpness, each image of a batch by an amount of its own.

Images are float (b, c, h, w) in [0, 1], grey (c = 1) or colour (c = 3), amounts (b,). The definitions are those of
torchvision's functions for one image, which need one amount for all images of a batch.
"""

import torch
from torch import Tensor
from torch.nn import functional

_GREY_WEIGHTS = (0.2989, 0.587, 0.114)  # of red, green and blue in the luma of ITU-R BT.601


def adjust_brightness(images: Tensor, factors: Tensor) -> Tensor:
    """Multiply by ``factors`` (b,); what exceeds 1 is clipped."""
    return (images * _per_image(factors)).clamp(0.0, 1.0)


def adjust_contrast(images: Tensor, factors: Tensor) -> Tensor:
    """Move each pixel away from the mean of the image's greys (factor > 1), or towards it (< 1)."""
    return _blend(images, to_grey(images).mean(dim=(1, 2, 3), keepdim=True), factors)


def adjust_saturation(images: Tensor, factors: Tensor) -> Tensor:
    """Move each pixel away from its own grey (factor > 1), or towards it (< 1); grey images stay as they are."""
    return _blend(images, to_grey(images), factors)


def shift_hue(images: Tensor, shifts: Tensor) -> Tensor:
    """Turn the hue of each pixel by ``shifts`` (b,) full turns, keeping saturation and value (HSV).

    Grey images stay as they are.
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
    """Luma of each pixel, (b, 1, h, w)."""
    if images.shape[1] == 1:
        return images
    weights = torch.tensor(_GREY_WEIGHTS, device=images.device)[:, None, None]
    return (images * weights).sum(dim=1, keepdim=True)


def gaussian_blur(images: Tensor, sigmas: Tensor, *, kernel_size: int) -> Tensor:
    """Convolve with a Gaussian of ``sigmas`` (b,) pixels, cut off to ``kernel_size`` pixels; edges are mirrored.

    Raises:
        ValueError: the kernel's size is even, or the images are too small to be mirrored so far.
    """
    radius = kernel_size // 2
    if kernel_size % 2 != 1 or min(images.shape[2:]) <= radius:
        raise ValueError(
            f"a blur needs an odd kernel, smaller than twice the image: got {kernel_size} for "
            f"{images.shape[3]} x {images.shape[2]} pixels"
        )
    distances = torch.arange(-radius, radius + 1, device=images.device)
    weights = torch.softmax(-0.5 * (distances / sigmas[:, None]) ** 2, dim=1)
    padded = functional.pad(images, (radius,) * 4, mode="reflect")
    return _convolve(_convolve(padded, weights, dim=3), weights, dim=2)


def _convolve(images: Tensor, weights: Tensor, *, dim: int) -> Tensor:
    """Convolve along one dimension with symmetric weights (b, k).

    As sums of shifted images: torch's convolutions with a kernel for each image are slower on CPU, and on GPU they
    may round to ten bits (TF32).
    """
    kernel_size = weights.shape[1]
    length, radius = images.shape[dim] - kernel_size + 1, kernel_size // 2
    result = images.narrow(dim, radius, length) * _per_image(weights[:, radius])
    for tap in range(radius):
        pair = images.narrow(dim, tap, length) + images.narrow(dim, kernel_size - 1 - tap, length)
        result.addcmul_(pair, _per_image(weights[:, tap]))
    return result


def _blend(images: Tensor, others: Tensor, factors: Tensor) -> Tensor:
    factors = _per_image(factors)
    return (factors * images + (1.0 - factors) * others).clamp(0.0, 1.0)


def _per_image(amounts: Tensor) -> Tensor:
    return amounts[:, None, None, None]
