"""Images with more than 8 bits a channel: which depth their values have, and their conversion to 8 bits."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_USUAL_DEPTHS = (8, 10, 12, 14)
_SMALLEST_FULL_RANGE = 1 << max(_USUAL_DEPTHS)
"""Values of 16 bits that reach this number use their 16 bits."""


class BitDepthError(ValueError):
    """The depth of an image's values is unknown, or is not the given one. The message says what to set."""


def has_16_bits(image: Image.Image) -> bool:
    """Return whether the file has more than 8 bits a channel. Pillow gives 16-bit colour the mode of 8-bit colour."""
    rawmodes = [str(tile[3]) for tile in getattr(image, "tile", [])]
    return image.mode.startswith("I") or any(";16" in rawmode or ";12" in rawmode for rawmode in rawmodes)


def known_depth(image: Image.Image) -> int | None:
    """Return the depth that the header of an opened, not yet decoded file states; None if values of 16 bits can have
    fewer used bits."""
    if image.format == "PPM":
        return 16  # the header has the largest value, and Pillow scales the values to 16 bits
    return 12 if any(";12" in str(tile[3]) for tile in getattr(image, "tile", [])) else None


def grey_in_8_bits(image: Image.Image, *, bit_depth: int | None) -> Image.Image:
    """Convert a grey image of 16 bits (Pillow mode I or I;16) to 8 bits; its transparent level becomes white.

    Args:
        image: the decoded image, with levels from 0 to 65535.
        bit_depth: the number of used bits; None: 16, if the values show it.

    Raises:
        BitDepthError: the depth is unknown, or values are above the given depth.
    """
    levels = np.asarray(image).astype(np.int64)
    largest = int(levels.max(initial=0))
    depth = _require_depth(largest, bit_depth)
    grey = (levels >> (depth - 8) if depth >= 8 else (levels * 255) // ((1 << depth) - 1)).astype(np.uint8)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        grey[levels == transparent] = 255
    return Image.fromarray(grey)


def check_colour(image: Image.Image, *, bit_depth: int | None) -> None:
    """Check a colour image of 16 bits a channel, of which Pillow keeps the upper 8 bits.

    Raises:
        BitDepthError: the depth is unknown or another than 16, or the image has a transparent colour.
    """
    if "transparency" in image.info:
        raise BitDepthError("it has 16 bits a channel and a transparent colour: save it as an 8-bit image")
    if bit_depth not in (None, 16):
        raise BitDepthError(
            f"it is a colour image of 16 bits a channel, and bit_depth {bit_depth} is for grey images: save it as an "
            "8-bit image"
        )
    upper: NDArray[np.uint8] = np.asarray(image)
    colours = upper[..., :-1] if image.mode in ("LA", "RGBA") else upper
    if bit_depth is None:
        _require_depth(int(colours.max(initial=0)) << 8 | 0xFF, None, of_colour=True)


def _require_depth(largest: int, bit_depth: int | None, *, of_colour: bool = False) -> int:
    """Return the number of used bits of values up to ``largest``."""
    if bit_depth is not None:
        if largest >> bit_depth:
            raise BitDepthError(f"it has values up to {largest}, which need more than bit_depth {bit_depth}")
        return bit_depth
    if largest >= _SMALLEST_FULL_RANGE or largest == 0:
        return 16
    depth = next(usual for usual in _USUAL_DEPTHS if largest < 1 << usual)
    choice = "save it as an 8-bit image" if of_colour else f"set bit_depth to {depth}"
    raise BitDepthError(
        f"its values of 16 bits end at {largest}, so perhaps only {depth} bits are used: {choice}, or set bit_depth to "
        "16 if the image is only dark"
    )
