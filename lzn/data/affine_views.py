"""Random affine views of a batch of digits, on a device, for representation learning (method section 4)."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from lzn.base.devices import constant
from lzn.base.full_precision import full_precision
from lzn.base.randomness import BatchRandom


@dataclass(frozen=True, kw_only=True)
class AffineViews:
    """Rotate, scale, shear and shift each image about its centre, change its contrast and add pixel noise.

    Images are not mirrored, because a mirrored digit is another symbol. Pixels outside the image are background (-1).

    Attributes:
        max_rotation: largest rotation in either direction, in degrees.
        max_scale: largest magnification; the smallest is ``1 / max_scale``.
        max_shear: largest horizontal shear in either direction.
        max_shift: largest shift in each direction, in pixels.
        min_contrast: smallest factor of the difference to the background; the largest is 1.
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

    def __call__(self, images: Tensor, random: BatchRandom) -> Tensor:
        """Return one view of each image (b, c, h, w), in [-1, 1]. Autocast and TF32 are disabled: they round places."""
        with full_precision(images.device):
            moved = self._move(images + 1.0, random)
            contrast = self.min_contrast + (1.0 - self.min_contrast) * random.uniform(1, 1, 1)
            noise = self.noise * random.normal(*images.shape[1:])
            return (moved * contrast - 1.0 + noise).clamp(-1.0, 1.0)

    def _move(self, heights: Tensor, random: BatchRandom) -> Tensor:
        """Rotate, scale, shear and shift images whose background is 0."""
        batch, _, height, width = heights.shape
        device = heights.device

        def uniform(limit: float, *shape: int) -> Tensor:
            return limit * (2.0 * random.uniform(*shape) - 1.0)

        angle = uniform(math.radians(self.max_rotation))
        scale = uniform(math.log(self.max_scale)).exp()
        rows = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], dim=1).view(batch, 2, 2)
        shear = torch.eye(2, device=device).repeat(batch, 1, 1)
        shear[:, 0, 1] = uniform(self.max_shear)
        shift = uniform(self.max_shift, 2) * 2.0 / constant((width, height), dtype=shear.dtype, device=device)
        linear = rows @ shear / scale[:, None, None]
        # The grid spans [-1, 1] over the width and over the height, so off-diagonal entries change units.
        transform = torch.cat([linear, shift[:, :, None]], dim=2)
        grid = functional.affine_grid(transform, list(heights.shape), align_corners=False)
        return functional.grid_sample(heights, grid, padding_mode="zeros", align_corners=False)
