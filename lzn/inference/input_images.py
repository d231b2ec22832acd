"""Images from users: check the file's header, decode the image, and convert it to the model's input.

Without a `Fitting`, an image must have the model's size and channels, 8 bits, no transparency and no rotation by EXIF
metadata; other images are refused. With a `Fitting`, an image is converted as the stage ``prepare`` converts training
images: rotated upright, put on white where it is transparent, reduced to 8 bits, and cropped or padded. `DecodingRules`
decide on animations, pages and bit depth, here as in ``prepare``.
"""

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from lzn.data.bit_depth import has_16_bits
from lzn.data.decoding import (
    FORMATS,
    STRICT,
    CorruptImageError,
    DecodingRules,
    array_from_image,
    decode_image,
    describe_frames,
    describe_other_file,
    image_mode,
)
from lzn.inference.errors import UserError
from lzn.inference.fitting import Fitting
from lzn.inference.images import Images
from lzn.preparation import Fit

MAX_FILE_BYTES = 64 * 2**20
MAX_TOTAL_BYTES = 2**31
"""Largest size of all files of a command, which are read into memory."""
MAX_PIXELS = 50_000_000
"""Largest width times height of an image: 150 MB when decoded."""
MAX_TOTAL_PIXELS = 5_000_000_000
"""Largest number of pixels of all images of a request, which take about a minute to decode."""
MAX_ASPECT = 100
"""Largest ratio of the longer side to the shorter side of an image that is fitted."""
_MODES = {"1": "black and white (1 bit)", "L": "grey", "RGB": "RGB", "CMYK": "CMYK", "F": "of 32-bit numbers"}
_SIZE_ADVICE = f"give an image of at most {MAX_PIXELS // 10**6} million pixels"

# Pillow raises any of these for damaged files.
_DAMAGE_ERRORS = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, OverflowError)


class ImageInputError(UserError):
    """An image that cannot be used; the message names it and says what to do."""


@dataclass(frozen=True)
class InputImage:
    """The content of an image file, and its name for messages."""

    name: str
    content: bytes


@dataclass(frozen=True, kw_only=True)
class ImageRules:
    """Requirements on the images of a request.

    Attributes:
        shape: (channels, height, width) of the model's input; height and width are equal.
        fitting: how other images are converted; None refuses them.
        max_images: largest number of images in a request.
        decoding: how image files are decoded.
        max_total_pixels: largest number of pixels of all images of a request.
    """

    shape: tuple[int, int, int]
    fitting: Fitting | None = None
    max_images: int
    decoding: DecodingRules = STRICT
    max_total_pixels: int = MAX_TOTAL_PIXELS

    @property
    def description(self) -> str:
        """The model's input, for messages."""
        channels, height, width = self.shape
        return f"{width}x{height} pixels, 8-bit {'grey' if channels == 1 else 'RGB'}"

    def require_number(self, number: int) -> None:
        """Check the number of images.

        Raises:
            ImageInputError: there are none or too many.
        """
        if number == 0:
            raise ImageInputError("no images were given: give at least one")
        if number > self.max_images:
            raise ImageInputError(
                f"{number} images are too many for one request: give at most {self.max_images} at a time"
            )


def read_image_files(files: Sequence[Path], rules: ImageRules) -> Images:
    """Read images (n, c, h, w) from files.

    Raises:
        ImageInputError: a file cannot be read, an image does not follow the rules, or there are none or too many.
    """
    rules.require_number(len(files))
    total = sum(file.stat().st_size for file in files if file.is_file())
    if total > MAX_TOTAL_BYTES:
        raise ImageInputError(
            f"the files have {total} bytes in all: give at most {MAX_TOTAL_BYTES // 2**20} MiB at a time"
        )
    return decode_images([InputImage(str(file), _read_file(file)) for file in files], rules)


def decode_images(inputs: Sequence[InputImage], rules: ImageRules) -> Images:
    """Decode images (n, c, h, w) from the contents of image files.

    Raises:
        ImageInputError: an image does not follow the rules, or there are none or too many.
    """
    rules.require_number(len(inputs))
    # All headers are checked before the first image is decoded, so that a request is refused at once.
    total = sum(_check(image, rules) for image in inputs)
    if total > rules.max_total_pixels:
        raise ImageInputError(
            f"the images have {total} pixels in all, more than the {rules.max_total_pixels} of one request: give fewer "
            "or smaller images at a time"
        )
    return np.stack([_decode(image, rules) for image in inputs])


def _read_file(file: Path) -> bytes:
    if file.is_dir():
        raise ImageInputError(f"{file} is a folder: name the images in it, such as {file}/*.png")
    if not file.exists():
        raise ImageInputError(f"{file} does not exist")
    if not file.is_file():
        raise ImageInputError(f"{file} is not a regular file")
    if file.stat().st_size > MAX_FILE_BYTES:
        raise ImageInputError(_too_large(str(file), file.stat().st_size))
    try:
        return file.read_bytes()
    except OSError as error:
        raise ImageInputError(f"{file} cannot be read: {error.strerror}") from error


def _too_large(name: str, num_bytes: int) -> str:
    return f"{name} has {num_bytes} bytes: give image files of at most {MAX_FILE_BYTES // 2**20} MiB"


def _check(source: InputImage, rules: ImageRules) -> int:
    """Check an image before it is decoded; return its number of pixels."""
    if not source.content:
        raise ImageInputError(f"{source.name} is empty")
    if len(source.content) > MAX_FILE_BYTES:
        raise ImageInputError(_too_large(source.name, len(source.content)))
    return _check_header(source, rules)


def _decode(source: InputImage, rules: ImageRules) -> NDArray[np.uint8]:
    channels, size, _ = rules.shape
    try:
        image = decode_image(source.content, num_channels=channels, rules=rules.decoding)
        fit = Fit(kind=rules.fitting.value if rules.fitting else "exact", size=size, num_channels=channels)
        return array_from_image(fit(image))
    except CorruptImageError as error:
        raise ImageInputError(
            f"{source.name} cannot be used: {error}. Save it again as an 8-bit PNG"
        ) from error


def _check_header(source: InputImage, rules: ImageRules) -> int:
    """Check the header, including the number of pixels, before any pixels are decoded; return that number."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Pillow raises DecompressionBombError for more than twice its own limit.
            with Image.open(io.BytesIO(source.content), formats=FORMATS) as image:
                problem, pixels = _problem(image, rules), image.width * image.height
    except Image.DecompressionBombError as error:
        raise ImageInputError(f"{source.name} declares too many pixels ({error}): {_SIZE_ADVICE}") from error
    except UnidentifiedImageError as error:
        described = describe_other_file(source.content)
        perhaps = "" if ", but " in described else ", or its header is damaged"
        raise ImageInputError(f"{source.name} is {described}{perhaps}") from error
    except _DAMAGE_ERRORS as error:
        raise ImageInputError(f"{source.name} is damaged or truncated ({error}): save it again") from error
    if problem is not None:
        raise ImageInputError(f"{source.name} {problem}")
    return pixels


def _problem(image: Image.Image, rules: ImageRules) -> str | None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        return f"declares {width}x{height} pixels: {_SIZE_ADVICE}"
    frames = None if rules.decoding.first_frame else describe_frames(image)
    if frames is not None:
        return frames
    if rules.fitting is None:
        differences = _differences(image, rules)
        if not differences:
            return None
        return (
            f"{', '.join(differences)}; the model takes {rules.description}. Convert it, or use fit crop (resize the "
            "largest centred square) or fit pad (shrink, and centre on black)"
        )
    if max(width, height) > MAX_ASPECT * min(width, height):
        return (
            f"has {width}x{height} pixels: one side is more than {MAX_ASPECT} times the other. Crop it first"
        )
    return None


def _differences(image: Image.Image, rules: ImageRules) -> list[str]:
    """Describe each difference between the image's format and the model's input."""
    channels, height, width = rules.shape
    found = []
    if image.size != (width, height):
        found.append(f"has {image.width}x{image.height} pixels")
    if has_16_bits(image):
        found.append("has 16 bits a channel")
    elif image.has_transparency_data:
        found.append("has transparency (an alpha channel)")
    elif image.mode == "P":
        found.append("has a palette")
    elif image.mode != image_mode(channels):
        found.append(f"is {_MODES.get(image.mode, 'of mode ' + image.mode)}")
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    if orientation not in (0, 1):
        found.append(f"is stored rotated (EXIF orientation {orientation})")
    return found
