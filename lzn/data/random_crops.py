"""Random crop boxes, as in ImageNet training (Szegedy et al., 2015)."""

import math
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class CropBox:
    """A rectangle in an image, in pixels from the upper left corner."""

    left: int
    top: int
    width: int
    height: int


def draw_crop_box(
    width: int, height: int, *, min_area: float, max_aspect_ratio: float, generator: torch.Generator
) -> CropBox:
    """Draw a box whose share of the image's area and whose logarithm of the aspect ratio are uniform.

    The result is the first of ten random boxes that fits into the image. If none fits, as in long and narrow images,
    it is the largest centred box with an allowed aspect ratio.
    """
    candidates = torch.rand(10, 4, generator=generator, device=generator.device, dtype=torch.float64)
    for share, aspect, x, y in candidates.tolist():
        area = width * height * (min_area + (1.0 - min_area) * share)
        aspect_ratio = max_aspect_ratio ** (2.0 * aspect - 1.0)
        box_width, box_height = round(math.sqrt(area * aspect_ratio)), round(math.sqrt(area / aspect_ratio))
        if 0 < box_width <= width and 0 < box_height <= height:
            left, top = int(x * (width - box_width + 1)), int(y * (height - box_height + 1))
            return CropBox(left, top, box_width, box_height)
    box_width = min(width, round(height * max_aspect_ratio))
    box_height = min(height, round(width * max_aspect_ratio))
    return CropBox((width - box_width) // 2, (height - box_height) // 2, box_width, box_height)
