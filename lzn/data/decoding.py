"""Image files to images in memory, and images to arrays and back; what cannot be an image is refused with a reason."""

import io
import struct
import warnings
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

# Pillow would also try formats that run an interpreter (EPS) or that no data set here uses.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_MODES = {1: "L", 3: "RGB"}
# By the EXIF standard: what makes an image upright that is stored with this orientation.
_TURNS: dict[object, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# All that Pillow's decoders raise when data are damaged.
_DAMAGE = (
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
    """Pillow's name of grey (1 channel) or colour (3).

    Raises:
        ValueError: another number of channels.
    """
    if num_channels not in _MODES:
        raise ValueError(f"images have 1 (grey) or 3 (colour) channels, not {num_channels}")
    return _MODES[num_channels]


def decode_image(data: bytes, *, num_channels: int) -> Image.Image:
    """An image file's content, upright, as 8-bit grey or colour.

    The orientation that cameras note in the file is applied, transparent pixels are laid on white (what is stored
    below them is arbitrary), and of an animation only the first frame is taken.

    Raises:
        CorruptImageError: the data are damaged, no image, of unusual depth, or of more pixels than Pillow's limit
            (a small file can unpack to more memory than there is).
        ValueError: ``num_channels`` is neither 1 nor 3.
    """
    mode = image_mode(num_channels)
    with warnings.catch_warnings():
        # Pillow warns of damage in what accompanies the pixels; in ImageNet that is common.
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                image.load()
                return _to_mode(_upright(image), mode)
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
            raise CorruptImageError(f"too many pixels: {error}") from error
        except UnidentifiedImageError as error:
            raise CorruptImageError(
                f"no image in a format that is read here ({', '.join(FORMATS)})"
            ) from error
        except _DAMAGE as error:
            raise CorruptImageError(f"cannot be decoded: {error}") from error


def _upright(image: Image.Image) -> Image.Image:
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except _DAMAGE:
        return image  # the pixels are good
    turn = _TURNS.get(orientation)
    return image if turn is None else image.transpose(turn)


def _to_mode(image: Image.Image, mode: str) -> Image.Image:
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise CorruptImageError(f"its pixels have 32 bits (Pillow's mode {image.mode}), not 8 or 16")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image if image.mode == mode else image.convert(mode)


def image_from_array(pixels: NDArray[np.uint8]) -> Image.Image:
    """A grey or colour image from uint8 (channels, height, width).

    Raises:
        ValueError: another dtype, or not 1 or 3 channels.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 3:
        raise ValueError(f"an image is uint8 (channels, height, width), got {pixels.dtype} {pixels.shape}")
    image_mode(len(pixels))
    return Image.fromarray(np.ascontiguousarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)))


def array_from_image(image: Image.Image) -> NDArray[np.uint8]:
    """The pixels of a grey or colour image, uint8 (channels, height, width)."""
    pixels: NDArray[np.uint8] = np.asarray(image)
    return pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


@dataclass(frozen=True, kw_only=True)
class ResizeAndCrop:
    """The usual evaluation view of photographs of any size (method of ImageNet: resize 256, centre crop 224).

    Attributes:
        shorter_side: pixels that the shorter side is resized to: bilinear, antialiased.
        size: side of the centred square that is cut out.

    Raises:
        ValueError: the square is larger than the resized image.
    """

    shorter_side: int
    size: int

    def __post_init__(self) -> None:
        if not 1 <= self.size <= self.shorter_side:
            raise ValueError(f"size must lie in [1, shorter_side={self.shorter_side}], got {self.size}")

    def __call__(self, image: Image.Image) -> NDArray[np.uint8]:
        """The view, uint8 (channels, size, size)."""
        shorter = min(image.size)
        width, height = (side * self.shorter_side // shorter for side in image.size)
        resized = image.resize((width, height), Image.Resampling.BILINEAR)
        left, top = round((width - self.size) / 2), round((height - self.size) / 2)
        return array_from_image(resized.crop((left, top, left + self.size, top + self.size)))
