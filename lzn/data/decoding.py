"""Decode image files, and convert images to arrays and back."""

import io
import struct
import warnings
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from lzn.base.file_kinds import HEAD_BYTES, kind_of
from lzn.data.bit_depth import BitDepthError, check_colour, grey_in_8_bits, has_16_bits, known_depth

# The other formats of Pillow run an interpreter (EPS) or are in no data set here.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_MODES = {1: "L", 3: "RGB"}
# EXIF orientation => the operation that makes the image upright.
_UPRIGHT_TRANSPOSES: dict[object, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# The errors that Pillow's decoders raise for damaged data.
_DECODING_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    MemoryError,
    struct.error,
    zlib.error,
)


class CorruptImageError(ValueError):
    """An image cannot be used; the message says why."""


def image_mode(num_channels: int) -> str:
    """Return Pillow's mode for 1 channel (grey) or 3 channels (colour).

    Raises:
        ValueError: ``num_channels`` is neither 1 nor 3.
    """
    if num_channels not in _MODES:
        raise ValueError(f"num_channels must be 1 (grey) or 3 (colour), got {num_channels}")
    return _MODES[num_channels]


@dataclass(frozen=True, kw_only=True)
class DecodingRules:
    """Choices for image files that can be read in several ways.

    Attributes:
        bit_depth: used bits of grey images with 16 bits; None: 16, and images that seem to use fewer are refused.
        first_frame: read the first frame of animations and the first page of files with several pages, which are
            refused otherwise.

    Raises:
        ValueError: ``bit_depth`` is not in [1, 16].
    """

    bit_depth: int | None = None
    first_frame: bool = False

    def __post_init__(self) -> None:
        if self.bit_depth is not None and not 1 <= self.bit_depth <= 16:
            raise ValueError(f"bit_depth must be between 1 and 16, got {self.bit_depth}")


STRICT = DecodingRules()


def decode_image(data: bytes, *, num_channels: int, rules: DecodingRules = STRICT) -> Image.Image:
    """Decode the content of an image file to an upright image, 8-bit grey or colour.

    The EXIF orientation is applied. Transparent pixels are blended with white, because the colour stored for them is
    arbitrary. Of a phone's JPEG with further pictures (MPO) the main picture is read.

    Raises:
        CorruptImageError: the data are damaged, not an image, have several frames, an unknown bit depth or 32 bits per
            pixel value, or have more pixels than Pillow's limit (a small file can decompress to more memory than the
            machine has).
        ValueError: ``num_channels`` is neither 1 nor 3.
    """
    mode = image_mode(num_channels)
    with warnings.catch_warnings():
        # Pillow warns about damaged metadata, which are common in ImageNet.
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                problem = None if rules.first_frame else describe_frames(image)
                if problem is not None:
                    raise CorruptImageError(problem)
                is_deep, depth = has_16_bits(image), known_depth(image) or rules.bit_depth
                image.load()
                return _to_mode(_in_8_bits(_upright(image), depth) if is_deep else _upright(image), mode)
        except CorruptImageError:
            raise
        except BitDepthError as error:
            raise CorruptImageError(str(error)) from error
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
            raise CorruptImageError(f"too many pixels: {error}") from error
        except UnidentifiedImageError as error:
            raise CorruptImageError(describe_other_file(data)) from error
        except _DECODING_ERRORS as error:
            raise CorruptImageError(f"cannot be decoded: {error}") from error


def _upright(image: Image.Image) -> Image.Image:
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except _DECODING_ERRORS:
        return image  # only the metadata are damaged
    operation = _UPRIGHT_TRANSPOSES.get(orientation)
    return image if operation is None else image.transpose(operation)


def describe_frames(image: Image.Image) -> str | None:
    """Return what is wrong with an opened file of several frames or pages; None for a single image.

    The further pictures of an MPO file (a phone's JPEG) are previews and depths, and not frames.
    """
    if image.format == "MPO" or not getattr(image, "is_animated", False):
        return None
    number = getattr(image, "n_frames", 1)
    if image.format == "TIFF":
        return f"is a file of {number} pages: save one page as an image, or set first_frame to read the first"
    return f"is an animation of {number} frames: save one frame as an image, or set first_frame to read the first"


def describe_other_file(data: bytes) -> str:
    """Return that the content of a file is no image, and what it is instead."""
    kind = kind_of(data[:HEAD_BYTES])
    what = "" if kind is None or kind.is_image else f", but {kind.name}"
    return f"not an image of a supported format ({', '.join(FORMATS)}){what}"


def _in_8_bits(image: Image.Image, bit_depth: int | None) -> Image.Image:
    if image.mode.startswith("I;16") or (
        image.mode == "I" and bit_depth is not None and image.format == "PPM"
    ):
        return grey_in_8_bits(image, bit_depth=bit_depth)
    if image.mode not in ("I", "F"):
        check_colour(image, bit_depth=bit_depth)
    return image


def _to_mode(image: Image.Image, mode: str) -> Image.Image:
    if image.mode in ("I", "F"):
        raise CorruptImageError(
            f"its pixels have 32 bits or a sign (Pillow mode {image.mode}), not 8 or 16 bits"
        )
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image if image.mode == mode else image.convert(mode)


def image_from_array(pixels: NDArray[np.uint8]) -> Image.Image:
    """Convert uint8 (channels, height, width) to a grey or colour image.

    Raises:
        ValueError: the array is not uint8 with three dimensions, or has neither 1 nor 3 channels.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 3:
        raise ValueError(f"pixels must be uint8 (channels, height, width), got {pixels.dtype} {pixels.shape}")
    image_mode(len(pixels))
    return Image.fromarray(np.ascontiguousarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)))


def array_from_image(image: Image.Image) -> NDArray[np.uint8]:
    """Return the pixels of a grey or colour image, uint8 (channels, height, width)."""
    pixels: NDArray[np.uint8] = np.asarray(image)
    return pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


@dataclass(frozen=True, kw_only=True)
class ResizeAndCrop:
    """Resize the shorter side, then crop the centre: the usual evaluation transform of photographs.

    For ImageNet: resize to 256, crop 224 (method section 8).

    Attributes:
        shorter_side: length of the shorter side after the resize (bilinear, antialiased), in pixels.
        size: side of the centred square, in pixels.

    Raises:
        ValueError: ``size`` is not in [1, shorter_side].
    """

    shorter_side: int
    size: int

    def __post_init__(self) -> None:
        if not 1 <= self.size <= self.shorter_side:
            raise ValueError(f"size must lie in [1, shorter_side={self.shorter_side}], got {self.size}")

    def __call__(self, image: Image.Image) -> NDArray[np.uint8]:
        """Return the transformed image, uint8 (channels, size, size)."""
        shorter = min(image.size)
        width, height = (side * self.shorter_side // shorter for side in image.size)
        resized = image.resize((width, height), Image.Resampling.BILINEAR)
        left, top = round((width - self.size) / 2), round((height - self.size) / 2)
        return array_from_image(resized.crop((left, top, left + self.size, top + self.size)))
