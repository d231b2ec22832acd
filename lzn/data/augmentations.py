"""Random views of images for unsupervised representation learning (section 4), batched on the images' device."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, kw_only=True)
class AffineViews:
    """Views that suit handwritten digits: what a digit survives, and no mirrors, which make other digits.

    Each image is rotated, scaled, sheared and shifted at random about its centre, its contrast is changed, and
    pixel noise is added. Pixels from outside of the image are background (-1).

    Attributes:
        max_rotation: degrees, to either side.
        max_scale: largest factor of magnification; the smallest is its inverse.
        max_shear: largest horizontal shear, to either side.
        max_shift: pixels, to either side, horizontally and vertically.
        min_contrast: smallest factor of the pixels' height above the background; the largest is 1.
        noise: standard deviation of the pixel noise.

    Raises:
        ValueError: a setting is out of range.
    """

    max_rotation: float
    max_scale: float
    max_shear: float
    max_shift: float
    min_contrast: float
    noise: float

    def __post_init__(self) -> None:
        if self.max_scale < 1.0 or not 0.0 < self.min_contrast <= 1.0:
            raise ValueError("max_scale must be at least 1 and min_contrast in (0, 1]")
        if min(self.max_rotation, self.max_shear, self.max_shift, self.noise) < 0:
            raise ValueError("max_rotation, max_shear, max_shift and noise must not be negative")

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """One view of each image (b, c, h, w), in [-1, 1]."""
        batch, _, height, width = images.shape

        def uniform(limit: float, *shape: int) -> Tensor:
            return limit * (2.0 * torch.rand(batch, *shape, generator=generator, device=images.device) - 1.0)

        angle = uniform(math.radians(self.max_rotation))
        scale = uniform(math.log(self.max_scale)).exp()
        rows = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], dim=1).view(batch, 2, 2)
        shear = torch.eye(2, device=images.device).repeat(batch, 1, 1)
        shear[:, 0, 1] = uniform(self.max_shear)
        size = torch.tensor([width, height], device=images.device)
        shift = uniform(self.max_shift, 2) * 2.0 / size  # the grid spans [-1, 1]
        transform = torch.cat([rows @ shear / scale[:, None, None], shift[:, :, None]], dim=2)
        grid = functional.affine_grid(transform, list(images.shape), align_corners=False)
        moved = functional.grid_sample(images + 1.0, grid, padding_mode="zeros", align_corners=False)
        contrast = self.min_contrast + (1.0 - self.min_contrast) * torch.rand(
            batch, 1, 1, 1, generator=generator, device=images.device
        )
        noise = self.noise * torch.randn(images.shape, generator=generator, device=images.device)
        return (moved * contrast - 1.0 + noise).clamp(-1.0, 1.0)


def random_flips(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror each image (b, c, h, w) horizontally with probability 1/2."""
    mirrored = torch.rand(len(images), 1, 1, 1, generator=generator, device=images.device) < 0.5
    return torch.where(mirrored, images.flip(3), images)
