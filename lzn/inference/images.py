"""Arrays of images as Pillow images and grids. Needs no torch."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Images = NDArray[np.uint8]
"""(n, c, h, w)"""
_CELL_PIXELS = 48
"""Smaller images are magnified by the largest integer that keeps them within this width."""
_GAP = 2
TEXT_HEIGHT = 14
"""Height of a line of text, in pixels."""
_FONT_SIZES = (11, 10, 9, 8)


def make_grid(
    images: Images, *, columns: int | None = None, names: Sequence[str] | None = None
) -> NDArray[np.uint8]:
    """Arrange images in one image (c, height, width) on white.

    Args:
        images: the images.
        columns: number of columns; by default the square root of n, rounded up.
        names: the text below each image; None: no text.
    """
    number, channels, height, width = images.shape
    columns = columns or math.ceil(math.sqrt(number))
    rows = math.ceil(number / columns)
    factor = max(1, _CELL_PIXELS // width)
    text_height = 0 if names is None else TEXT_HEIGHT
    cell_height, cell_width = factor * height + text_height + _GAP, factor * width + _GAP
    grid = np.full((channels, rows * cell_height + _GAP, columns * cell_width + _GAP), 255, dtype=np.uint8)
    for index, image in enumerate(images):
        top = index // columns * cell_height + _GAP
        left = index % columns * cell_width + _GAP
        magnified = image.repeat(factor, axis=1).repeat(factor, axis=2)
        bottom, right = top + factor * height, left + factor * width
        grid[:, top:bottom, left:right] = magnified
        if names is not None:
            grid[:, bottom : bottom + TEXT_HEIGHT, left:right] = text_image(names[index], width=right - left)
    return grid


def text_image(text: str, *, width: int) -> NDArray[np.uint8]:
    """Return a line of black text, centred on white, of shape (`TEXT_HEIGHT`, width).

    A long text has smaller letters. One that is too long even so is cut and ends in dots.
    """
    text = " ".join(text.split())
    font = next((font for font in map(_font, _FONT_SIZES) if font.getlength(text) <= width), None)
    if font is None:
        font = _font(_FONT_SIZES[-1])
        while text and font.getlength(f"{text}…") > width:
            text = text[:-1]
        text = f"{text}…"
    line = Image.new("L", (width, TEXT_HEIGHT), 255)
    ImageDraw.Draw(line).text((width / 2, TEXT_HEIGHT / 2), text, fill=0, font=font, anchor="mm")
    return np.asarray(line)


def _font(size: int) -> ImageFont.FreeTypeFont:
    """Return the font that Pillow contains. It has Latin letters; others are boxes."""
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)  # Pillow's packages have FreeType
    return font


def to_pil_image(image: NDArray[np.uint8]) -> Image.Image:
    """Convert uint8 (c, height, width) to a Pillow image."""
    return Image.fromarray(image[0] if len(image) == 1 else np.ascontiguousarray(image.transpose(1, 2, 0)))
