"""Arrays of images as pictures to look at; needs no torch."""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Images = NDArray[np.uint8]
"""(n, c, h, w)"""
_GRID_PIXELS = 48
"""Small images are magnified to about this size in grids."""
_GAP = 2


def grid(images: Images, *, columns: int | None = None) -> NDArray[np.uint8]:
    """One picture (c, height, width) of all images, about as wide as high, on white."""
    number, channels, height, width = images.shape
    columns = columns or math.ceil(math.sqrt(number))
    rows = math.ceil(number / columns)
    factor = max(1, _GRID_PIXELS // width)
    cell_height, cell_width = factor * height + _GAP, factor * width + _GAP
    picture = np.full((channels, rows * cell_height + _GAP, columns * cell_width + _GAP), 255, dtype=np.uint8)
    for index, image in enumerate(images):
        top = index // columns * cell_height + _GAP
        left = index % columns * cell_width + _GAP
        large = image.repeat(factor, axis=1).repeat(factor, axis=2)
        picture[:, top : top + factor * height, left : left + factor * width] = large
    return picture


def as_picture(image: NDArray[np.uint8]) -> Image.Image:
    """uint8 (c, height, width) as a Pillow image."""
    return Image.fromarray(image[0] if len(image) == 1 else np.ascontiguousarray(image.transpose(1, 2, 0)))
