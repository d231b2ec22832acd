"""Arrays of images as Pillow images and grids. Needs no torch."""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Images = NDArray[np.uint8]
"""(n, c, h, w)"""
_CELL_PIXELS = 48
"""Smaller images are magnified by the largest integer that keeps them within this width."""
_GAP = 2


def make_grid(images: Images, *, columns: int | None = None) -> NDArray[np.uint8]:
    """Arrange images in one image (c, height, width) on white.

    ``columns`` defaults to the square root of n, rounded up.
    """
    number, channels, height, width = images.shape
    columns = columns or math.ceil(math.sqrt(number))
    rows = math.ceil(number / columns)
    factor = max(1, _CELL_PIXELS // width)
    cell_height, cell_width = factor * height + _GAP, factor * width + _GAP
    grid = np.full((channels, rows * cell_height + _GAP, columns * cell_width + _GAP), 255, dtype=np.uint8)
    for index, image in enumerate(images):
        top = index // columns * cell_height + _GAP
        left = index % columns * cell_width + _GAP
        magnified = image.repeat(factor, axis=1).repeat(factor, axis=2)
        grid[:, top : top + factor * height, left : left + factor * width] = magnified
    return grid


def to_pil_image(image: NDArray[np.uint8]) -> Image.Image:
    """Convert uint8 (c, height, width) to a Pillow image."""
    return Image.fromarray(image[0] if len(image) == 1 else np.ascontiguousarray(image.transpose(1, 2, 0)))
