"""SimCLR's random views, which the paper uses for ImageNet (method section 8): crop, flip, colour, grey, blur.

`SimCLRViews` makes complete views of single images in the loading process. `SimCLRCrops` only crops in the loading
process; `SimCLRDistortions` then distorts a batch on the device. With the same parameters the images are the same.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import PIL.Image
import torch
from torch import Tensor

from lzn.base.devices import constant, is_cpu
from lzn.base.randomness import BatchRandom
from lzn.data.colour_and_blur import (
    adjust_brightness,
    adjust_contrast,
    adjust_saturation,
    gaussian_blur,
    per_image,
    shift_hue,
    to_grey,
)
from lzn.data.decoding import array_from_image
from lzn.data.random_crops import draw_crop_box

_COLOUR_CHANGES = (adjust_brightness, adjust_contrast, adjust_saturation, shift_hue)


@dataclass(frozen=True)
class Distortions:
    """The distortions of each image of a batch, applied in this order; all tensors are on one device.

    Attributes:
        flipped: bool (b,), whether the image is flipped horizontally.
        jittered: bool (b,), whether the four colour changes are made.
        order: int64 (b, 4), order of the changes; 0 to 3 are brightness, contrast, saturation and hue.
        amounts: (b, 4), factors of brightness, contrast and saturation, and the hue's shift in full turns.
        grey: bool (b,), whether the image becomes grey.
        blurred: bool (b,), whether the image is blurred.
        sigmas: (b,), standard deviation of the blur in pixels.
        blur_kernel: size of the blur's kernel in pixels, odd.
    """

    flipped: Tensor
    jittered: Tensor
    order: Tensor
    amounts: Tensor
    grey: Tensor
    blurred: Tensor
    sigmas: Tensor
    blur_kernel: int

    def apply(self, images: Tensor) -> Tensor:
        """Distort images (b, c, h, w), float in [0, 1], grey or colour."""
        images = torch.where(per_image(self.flipped), images.flip(3), images)
        images = self._jitter(images)
        images = torch.where(per_image(self.grey), to_grey(images), images)

        def blur(some: Tensor, sigmas: Tensor) -> Tensor:
            return gaussian_blur(some, sigmas, kernel_size=self.blur_kernel)

        return _change(images, self.blurred, blur, self.sigmas)

    def _jitter(self, images: Tensor) -> Tensor:
        """Change each image's colours in its own order."""
        for place in range(len(_COLOUR_CHANGES)):
            for number, change in enumerate(_COLOUR_CHANGES):
                chosen = self.jittered & (self.order[:, place] == number)
                images = _change(images, chosen, change, self.amounts[:, number])
        return images


def _change(
    images: Tensor, chosen: Tensor, change: Callable[[Tensor, Tensor], Tensor], amounts: Tensor
) -> Tensor:
    """Change the ``chosen`` images, bool (b,), by their ``amounts`` (b,).

    On CPU only these are computed. On other devices all are, because their number would synchronise the device.
    """
    if not is_cpu(images):
        return torch.where(per_image(chosen), change(images, amounts), images)
    rows = chosen.nonzero()[:, 0]
    return images.index_copy(0, rows, change(images[rows], amounts[rows])) if len(rows) else images


@dataclass(frozen=True, kw_only=True)
class _DistortionSettings:
    """Strength and probability of the distortions.

    Attributes:
        jitter: brightness, contrast and saturation are multiplied by factors in [max(0, 1 - jitter), 1 + jitter].
        hue: largest shift of the hue in either direction, in full turns.
        jitter_probability: probability of these colour changes.
        grey_probability: probability that the image becomes grey.
        flip_probability: probability that the image is flipped.
        blur_probability: probability of a blur; in the paper every image is blurred.
        blur_kernel: size of the blur's kernel in pixels, odd.
        blur_sigma: smallest and largest standard deviation of the blur, in pixels.

    Raises:
        ValueError: a setting is out of range.
    """

    jitter: float = 0.8
    hue: float = 0.2
    jitter_probability: float = 0.8
    grey_probability: float = 0.2
    flip_probability: float = 0.5
    blur_probability: float = 1.0
    blur_kernel: int = 23
    blur_sigma: tuple[float, float] = (0.1, 2.0)

    def __post_init__(self) -> None:
        if not 0.0 <= self.hue <= 0.5 or not 0.0 <= self.jitter < math.inf:
            raise ValueError(
                f"hue must lie in [0, 0.5] and jitter must be finite and not negative, got {self.hue}, {self.jitter}"
            )
        for name in ("jitter_probability", "grey_probability", "flip_probability", "blur_probability"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} must lie in [0, 1], got {getattr(self, name)}")
        if self.blur_kernel < 1 or self.blur_kernel % 2 == 0:
            raise ValueError(f"blur_kernel must be odd and positive, got {self.blur_kernel}")
        if not 0.0 < self.blur_sigma[0] <= self.blur_sigma[1] < math.inf:
            raise ValueError(
                f"blur_sigma must be two positive numbers, the smaller one first, got {self.blur_sigma}"
            )

    def draw(self, random: BatchRandom) -> Distortions:
        """Draw distortions for each image independently, on the device of ``random``."""
        coins = random.uniform(4)
        order = random.uniform(4).argsort(dim=1)
        options: Any = {"dtype": coins.dtype, "device": coins.device}
        lowest = constant((*[max(0.0, 1.0 - self.jitter)] * 3, -self.hue), **options)
        highest = constant((*[1.0 + self.jitter] * 3, self.hue), **options)
        min_sigma, max_sigma = self.blur_sigma
        return Distortions(
            flipped=coins[:, 0] < self.flip_probability,
            jittered=coins[:, 1] < self.jitter_probability,
            order=order,
            amounts=lowest + (highest - lowest) * random.uniform(4),
            grey=coins[:, 2] < self.grey_probability,
            blurred=coins[:, 3] < self.blur_probability,
            sigmas=min_sigma + (max_sigma - min_sigma) * random.uniform(),
            blur_kernel=self.blur_kernel,
        )


@dataclass(frozen=True, kw_only=True)
class SimCLRDistortions(_DistortionSettings):
    """All distortions of a view except the crop, for a batch on its device; parameters: `_DistortionSettings`."""

    def __call__(self, images: Tensor, random: BatchRandom) -> Tensor:
        """Return one view of each image (b, c, h, w), in [-1, 1]; ``random`` is on the images' device.

        Raises:
            ValueError: a side of the images is at most ``blur_kernel // 2`` pixels.
        """
        return self.draw(random).apply(images.float() / 2.0 + 0.5) * 2.0 - 1.0


@dataclass(frozen=True, kw_only=True)
class SimCLRCrops:
    """Random crops of single images, resized to one size.

    Attributes:
        size: side of the square result, in pixels.
        min_area: smallest share of the image's area; the largest is 1.
        max_aspect_ratio: largest ratio of a crop's width to its height; the smallest is ``1 / max_aspect_ratio``.
        num_views: number of views of each image.

    Raises:
        ValueError: a setting is out of range.
    """

    size: int = 224
    min_area: float = 0.08
    max_aspect_ratio: float = 4.0 / 3.0
    num_views: int = 2

    def __post_init__(self) -> None:
        if self.size < 1 or self.num_views < 1:
            raise ValueError(f"size and num_views must be at least 1, got {self.size} and {self.num_views}")
        if not 0.0 < self.min_area <= 1.0 or not 1.0 <= self.max_aspect_ratio < math.inf:
            raise ValueError(
                "min_area must lie in (0, 1] and max_aspect_ratio must be finite and at least 1, got "
                f"{self.min_area} and {self.max_aspect_ratio}"
            )

    def __call__(self, image: PIL.Image.Image, generator: torch.Generator) -> Tensor:
        """Return one crop, uint8 (c, size, size), resized bilinearly with antialiasing, as in torchvision."""
        box = draw_crop_box(
            *image.size,
            min_area=self.min_area,
            max_aspect_ratio=self.max_aspect_ratio,
            generator=generator,
        )
        # Crop first: `resize` with a box also reads pixels around the box.
        crop = image.crop((box.left, box.top, box.left + box.width, box.top + box.height))
        resized = crop.resize((self.size, self.size), PIL.Image.Resampling.BILINEAR)
        return torch.tensor(array_from_image(resized))


@dataclass(frozen=True, kw_only=True)
class SimCLRViews(SimCLRCrops, _DistortionSettings):
    """Complete views of single images: crop and distortions."""

    def __post_init__(self) -> None:
        SimCLRCrops.__post_init__(self)
        _DistortionSettings.__post_init__(self)
        if self.size <= self.blur_kernel // 2:
            raise ValueError(
                f"blur_kernel must be smaller than twice size={self.size}, got {self.blur_kernel}"
            )

    def __call__(self, image: PIL.Image.Image, generator: torch.Generator) -> Tensor:
        """Return one view, uint8 (c, size, size)."""
        crop = super().__call__(image, generator)
        view = self.draw(BatchRandom.for_whole_batch(1, generator)).apply(crop[None].float() / 255.0)[0]
        return (view * 255.0).round().clamp(0.0, 255.0).to(torch.uint8)
