"""Convert an image of a source to its stored form: pixels, a PNG file, or the original file."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lzn.data.decoding import CorruptImageError, array_from_image, decode_image, image_from_array
from lzn.datasets.source import ImageSource
from lzn.preparation.fit import Fit

# The resized image of a longer strip would need much more memory than a photograph.
MAX_ASPECT_RATIO = 100


def as_pixels(source: ImageSource, index: int, fit: Fit) -> NDArray[np.uint8]:
    """Return the fitted image, uint8 (channels, height, width).

    Raises:
        CorruptImageError: the image cannot be used.
    """
    return array_from_image(fit(_decode(_read(source, index), fit)))


def as_png(source: ImageSource, index: int, fit: Fit) -> bytes:
    """Return the fitted image as a PNG file.

    Raises:
        CorruptImageError: the image cannot be used.
    """
    stream = io.BytesIO()
    fit(_decode(_read(source, index), fit)).save(stream, "PNG")
    return stream.getvalue()


def as_original(source: ImageSource, index: int, fit: Fit) -> bytes:
    """Return the unchanged image file, after a check that it can be decoded.

    Raises:
        CorruptImageError: the image cannot be used.
        ValueError: the source does not hold image files.
    """
    content = _read(source, index)
    if not isinstance(content, bytes):
        raise ValueError(
            f"{source.name(index)} is an array and not an image file, so it cannot be stored as original; "
            "choose storage: pixels or storage: png"
        )
    width, height = _decode(content, fit).size
    if max(width, height) > MAX_ASPECT_RATIO * min(width, height):
        raise CorruptImageError(
            f"has {width}x{height} pixels: one side is more than {MAX_ASPECT_RATIO} times the other"
        )
    return content


def _read(source: ImageSource, index: int) -> bytes | NDArray[np.uint8]:
    try:
        return source.read(index)
    except OSError as error:
        raise CorruptImageError(f"cannot be read: {error}") from error


def _decode(content: bytes | NDArray[np.uint8], fit: Fit) -> Image.Image:
    if isinstance(content, bytes):
        return decode_image(content, num_channels=fit.num_channels, rules=fit.decoding)
    return image_from_array(content)
