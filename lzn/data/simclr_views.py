"""The paper's views of ImageNet's images (method section 8), those of SimCLR: crop, mirror, colours, grey, blur.

`SimCLRViews` makes whole views of single images, where they are loaded. `SimCLRCrops` only crops there, and
`SimCLRDistortions` does the rest with a batch on the device; with the same parameters the image is the same.
"""

import math
from dataclasses import dataclass

import PIL.Image
import torch
from torch import Tensor

from lzn.base.randomness import BatchRandom
from lzn.data.colour_and_blur import (
    adjust_brightness,
    adjust_contrast,
    adjust_saturation,
    gaussian_blur,
    shift_hue,
    to_grey,
)
from lzn.data.decoding import array_from_image
from lzn.data.random_crops import draw_crop_box

_COLOUR_CHANGES = (adjust_brightness, adjust_contrast, adjust_saturation, shift_hue)


@dataclass(frozen=True)
class Distortions:
    """What is done to each image of a batch, in this order; all tensors are on one device.

    Attributes:
        mirrored: bool (b,), mirrored horizontally.
        jittered: bool (b,), the four changes of colour are made.
        order: int64 (b, 4), the order of the changes; 0 to 3 are brightness, contrast, saturation and hue.
        amounts: (b, 4), factors of brightness, contrast and saturation, and the hue's shift in full turns.
        grey: bool (b,), made grey.
        blurred: bool (b,).
        sigmas: (b,), the blur's standard deviation in pixels.
        blur_kernel: pixels, odd.
    """

    mirrored: Tensor
    jittered: Tensor
    order: Tensor
    amounts: Tensor
    grey: Tensor
    blurred: Tensor
    sigmas: Tensor
    blur_kernel: int

    def apply(self, images: Tensor) -> Tensor:
        """Distorted images (b, c, h, w), float in [0, 1], grey or colour."""
        images = torch.where(_per_image(self.mirrored), images.flip(3), images)
        images = self._jitter(images)
        images = torch.where(_per_image(self.grey), to_grey(images), images)
        chosen = self.blurred.nonzero()[:, 0]
        if len(chosen) > 0:
            blurred = gaussian_blur(images[chosen], self.sigmas[chosen], kernel_size=self.blur_kernel)
            images = images.index_copy(0, chosen, blurred)
        return images

    def _jitter(self, images: Tensor) -> Tensor:
        """Each image's changes in its own order: at each place in the order, the images that share a change."""
        for place in range(len(_COLOUR_CHANGES)):
            for number, change in enumerate(_COLOUR_CHANGES):
                chosen = (self.jittered & (self.order[:, place] == number)).nonzero()[:, 0]
                if len(chosen) > 0:
                    changed = change(images[chosen], self.amounts[chosen, number])
                    images = images.index_copy(0, chosen, changed)
        return images


@dataclass(frozen=True, kw_only=True)
class _DistortionSettings:
    """How strong and how frequent distortions are.

    Attributes:
        jitter: brightness, contrast and saturation are multiplied by factors in [max(0, 1 - jitter), 1 + jitter].
        hue: largest turn of the hue to either side, in full turns.
        jitter_probability: of these changes of colour.
        grey_probability: of an image without colour.
        flip_probability: of a mirrored image.
        blur_probability: of a blurred image; the paper names none, and its images are always blurred.
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
                f"hue must lie in [0, 0.5] and jitter must not be negative, got {self.hue}, {self.jitter}"
            )
        for name in ("jitter_probability", "grey_probability", "flip_probability", "blur_probability"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} must lie in [0, 1], got {getattr(self, name)}")
        if self.blur_kernel < 1 or self.blur_kernel % 2 == 0:
            raise ValueError(f"blur_kernel must be odd, got {self.blur_kernel}")
        if not 0.0 < self.blur_sigma[0] <= self.blur_sigma[1] < math.inf:
            raise ValueError(f"blur_sigma must be positive and in order, got {self.blur_sigma}")

    def draw(self, random: BatchRandom) -> Distortions:
        """Random distortions, independent for each image, on the device of the random."""
        coins = random.uniform(4)
        order = random.uniform(4).argsort(dim=1)
        lowest = torch.tensor([max(0.0, 1.0 - self.jitter)] * 3 + [-self.hue], device=coins.device)
        highest = torch.tensor([1.0 + self.jitter] * 3 + [self.hue], device=coins.device)
        min_sigma, max_sigma = self.blur_sigma
        return Distortions(
            mirrored=coins[:, 0] < self.flip_probability,
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
    """All of a view but its crop, a batch at a time on the images' device; see the settings' list above."""

    def __call__(self, images: Tensor, random: BatchRandom) -> Tensor:
        """One view of each image (b, c, h, w), in [-1, 1]; ``random`` are on the images' device.

        Raises:
            ValueError: the images are smaller than half of the blur's kernel.
        """
        return self.draw(random).apply(images.float() / 2.0 + 0.5) * 2.0 - 1.0


@dataclass(frozen=True, kw_only=True)
class SimCLRCrops:
    """Random parts of single images, resized to one size.

    Attributes:
        size: side of the square that is made, in pixels.
        min_area: smallest share of the image's area; the largest is 1.
        max_aspect_ratio: largest ratio of a part's width to its height; the smallest is its inverse.
        num_views: how many are made of an image.

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
                "min_area must lie in (0, 1] and max_aspect_ratio must be at least 1, got "
                f"{self.min_area} and {self.max_aspect_ratio}"
            )

    def __call__(self, image: PIL.Image.Image, generator: torch.Generator) -> Tensor:
        """One part, uint8 (c, size, size), resized bilinearly with antialiasing, as torchvision does."""
        box = draw_crop_box(
            *image.size,
            min_area=self.min_area,
            max_aspect_ratio=self.max_aspect_ratio,
            generator=generator,
        )
        # Cropped first: a resize of a box would mix in pixels from around it.
        part = image.crop((box.left, box.top, box.left + box.width, box.top + box.height))
        resized = part.resize((self.size, self.size), PIL.Image.Resampling.BILINEAR)
        return torch.tensor(array_from_image(resized))


@dataclass(frozen=True, kw_only=True)
class SimCLRViews(SimCLRCrops, _DistortionSettings):
    """Whole views of single images."""

    def __post_init__(self) -> None:
        SimCLRCrops.__post_init__(self)
        _DistortionSettings.__post_init__(self)
        if self.size <= self.blur_kernel // 2:
            raise ValueError(f"blur_kernel must be smaller than twice the size, got {self.blur_kernel}")

    def __call__(self, image: PIL.Image.Image, generator: torch.Generator) -> Tensor:
        """One view, uint8 (c, size, size)."""
        part = super().__call__(image, generator)
        view = self.draw(BatchRandom.for_whole_batch(1, generator)).apply(part[None].float() / 255.0)[0]
        return (view * 255.0).round().clamp(0.0, 255.0).to(torch.uint8)


def _per_image(chosen: Tensor) -> Tensor:
    return chosen[:, None, None, None]
