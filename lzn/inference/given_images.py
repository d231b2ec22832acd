"""Images that people hand in: read, checked before they are decoded, and brought to what a model was trained on.

Without a `Fitting` nothing is changed silently: an image must have the model's size and channels, 8 bits, no
transparency and no turn by metadata. With one, it is converted as training images are by ``prepare``: turned upright,
laid on white, reduced to 8 bits, and cropped or padded.
"""

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from lzn.data.decoding import (
    FORMATS,
    CorruptImageError,
    array_from_image,
    decode_image,
    image_mode,
)
from lzn.inference.errors import UserError
from lzn.inference.fitting import Fitting
from lzn.preparation import Fit

MAX_FILE_BYTES = 64 * 2**20
MAX_PIXELS = 50_000_000
"""Of one image, as its header declares it: 150 MB once it is decoded."""
MAX_ASPECT = 100
"""Of the longer side to the shorter one, where an image is fitted."""


class ImageInputError(UserError):
    """An image cannot be used; the message names it and says what to do."""


@dataclass(frozen=True)
class GivenImage:
    """The content of an image file, and what to call it in messages."""

    name: str
    content: bytes


@dataclass(frozen=True, kw_only=True)
class ImageRules:
    """What images must be.

    Attributes:
        shape: (channels, height, width) that the model takes; height and width are equal.
        fitting: how others are brought to it; None: they are refused.
        max_images: how many may come together.
    """

    shape: tuple[int, int, int]
    fitting: Fitting | None = None
    max_images: int

    @property
    def wanted(self) -> str:
        """For messages."""
        channels, height, width = self.shape
        return f"{width}x{height} pixels, 8-bit {'grey' if channels == 1 else 'RGB'}"

    def require_number(self, number: int) -> None:
        """Check how many images there are.

        Raises:
            ImageInputError: none, or too many.
        """
        if number == 0:
            raise ImageInputError("no images were given")
        if number > self.max_images:
            raise ImageInputError(
                f"{number} images are too many for one request: give at most {self.max_images} at a time"
            )


def read_image_files(files: Sequence[Path], rules: ImageRules) -> NDArray[np.uint8]:
    """Images (n, c, h, w) from files.

    Raises:
        ImageInputError: a file cannot be read, or is not an image as the rules want it.
    """
    rules.require_number(len(files))
    return decode_images([GivenImage(str(file), _read_file(file)) for file in files], rules)


def decode_images(given: Sequence[GivenImage], rules: ImageRules) -> NDArray[np.uint8]:
    """Images (n, c, h, w) from the contents of image files.

    Raises:
        ImageInputError: one is not an image as the rules want it, or there are none or too many.
    """
    rules.require_number(len(given))
    return np.stack([_decode(image, rules) for image in given])


def _read_file(file: Path) -> bytes:
    if file.is_dir():
        raise ImageInputError(f"{file} is a folder: name the images in it, such as {file}/*.png")
    if not file.exists():
        raise ImageInputError(f"{file}: there is no such file")
    if not file.is_file():
        raise ImageInputError(f"{file} is no regular file")
    if file.stat().st_size > MAX_FILE_BYTES:
        raise ImageInputError(_too_large(str(file), file.stat().st_size))
    try:
        return file.read_bytes()
    except OSError as error:
        raise ImageInputError(f"{file} cannot be read: {error.strerror}") from error


def _too_large(name: str, num_bytes: int) -> str:
    return f"{name} has {num_bytes} bytes: give image files of at most {MAX_FILE_BYTES // 2**20} MiB"


def _decode(given: GivenImage, rules: ImageRules) -> NDArray[np.uint8]:
    if not given.content:
        raise ImageInputError(f"{given.name} is empty")
    if len(given.content) > MAX_FILE_BYTES:
        raise ImageInputError(_too_large(given.name, len(given.content)))
    _check_header(given, rules)
    channels, size, _ = rules.shape
    try:
        image = decode_image(given.content, num_channels=channels)
        fit = Fit(kind=rules.fitting.value if rules.fitting else "exact", size=size, num_channels=channels)
        return array_from_image(fit(image))
    except CorruptImageError as error:
        raise ImageInputError(
            f"{given.name} cannot be used: {error}. Save it again, as an 8-bit PNG"
        ) from error


def _check_header(given: GivenImage, rules: ImageRules) -> None:
    """Refuse what its header already tells. Their number is looked at before any pixels are decoded."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Pillow itself refuses what declares twice its own limit.
            with Image.open(io.BytesIO(given.content), formats=FORMATS) as image:
                problem = _problem(image, rules)
    except Image.DecompressionBombError as error:
        raise ImageInputError(f"{given.name} declares too many pixels ({error}): {_SHRINK}") from error
    except UnidentifiedImageError as error:
        raise ImageInputError(
            f"{given.name} is not an image, or its header is damaged; formats that are read: {', '.join(FORMATS)}"
        ) from error
    except (
        OSError,
        SyntaxError,
        ValueError,
        EOFError,
        IndexError,
        KeyError,
        TypeError,
        OverflowError,
    ) as error:
        raise ImageInputError(f"{given.name} is damaged or cut off ({error}): save it again") from error
    if problem is not None:
        raise ImageInputError(f"{given.name} {problem}")


_SHRINK = f"give an image of at most {MAX_PIXELS // 10**6} million"


def _problem(image: Image.Image, rules: ImageRules) -> str | None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        return f"declares {width}x{height} pixels: {_SHRINK}"
    if getattr(image, "n_frames", 1) > 1:
        return f"is an animation of {getattr(image, 'n_frames', 1)} frames: save the frame that is meant as an image"
    if rules.fitting is None:
        differences = _differences(image, rules)
        if not differences:
            return None
        return (
            f"{', '.join(differences)}; the model takes {rules.wanted}. Convert it, or ask for fit crop (the largest "
            "centred square, resized) or fit pad (shrunk, centred on black)"
        )
    if max(width, height) > MAX_ASPECT * min(width, height):
        return f"has {width}x{height} pixels: a side is more than {MAX_ASPECT} times the other. Crop it first"
    return None


def _differences(image: Image.Image, rules: ImageRules) -> list[str]:
    """In what an image differs from what the model takes, apart from its content."""
    channels, height, width = rules.shape
    found = []
    if image.size != (width, height):
        found.append(f"has {image.width}x{image.height} pixels")
    if _has_16_bits(image):
        found.append("has 16 bits a channel")
    elif image.has_transparency_data:
        found.append("has transparency (an alpha channel)")
    elif image.mode == "P":
        found.append("has a palette")
    elif image.mode != image_mode(channels):
        found.append(f"is {_KINDS.get(image.mode, 'of mode ' + image.mode)}")
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    if orientation not in (0, 1):
        found.append(f"is stored turned (EXIF orientation {orientation})")
    return found


_KINDS = {"1": "black and white (1 bit)", "L": "grey", "RGB": "RGB", "CMYK": "CMYK", "F": "of 32-bit numbers"}


def _has_16_bits(image: Image.Image) -> bool:
    """Pillow opens 16-bit colour as 8-bit colour; only its decoder's raw mode tells."""
    rawmodes = [str(tile[3]) for tile in getattr(image, "tile", [])]
    return image.mode.startswith("I") or any(";16" in rawmode for rawmode in rawmodes)
