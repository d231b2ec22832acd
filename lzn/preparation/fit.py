"""Conversion of an image of any size to the square size of a data set."""

from dataclasses import dataclass
from typing import Literal

from PIL import Image

from lzn.data.decoding import STRICT, CorruptImageError, DecodingRules, image_mode

FitKind = Literal["crop", "pad", "exact"]
Resize = Literal["lanczos", "bilinear"]
"""The filter of a resize, with antialiasing: ``lanczos`` is the sharpest; ``bilinear`` is that of the paper's code, and
gives the pixels of `torchvision.transforms.Resize` on PIL images."""

_FILTERS = {"lanczos": Image.Resampling.LANCZOS, "bilinear": Image.Resampling.BILINEAR}


@dataclass(frozen=True, kw_only=True)
class Fit:
    """Converts images to one size and number of channels.

    Attributes:
        kind: ``crop``: crop the largest centred square and resize it. ``pad``: shrink a larger image, keep a smaller
            one, and centre it on black. ``exact``: an image of another size is an error.
        size: side of the result, in pixels.
        num_channels: channels of the result, 1 (grey) or 3 (colour).
        decoding: how image files are decoded before their conversion.
        resize: the filter.

    Raises:
        ValueError: ``size`` is below 1, or ``num_channels`` is neither 1 nor 3.
    """

    kind: FitKind
    size: int
    num_channels: int
    decoding: DecodingRules = STRICT
    resize: Resize = "lanczos"

    def __post_init__(self) -> None:
        image_mode(self.num_channels)
        if self.size < 1:
            raise ValueError(f"size must be at least 1, got {self.size}")

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of the result."""
        return self.num_channels, self.size, self.size

    def __call__(self, image: Image.Image) -> Image.Image:
        """Convert an image.

        Raises:
            CorruptImageError: ``kind`` is ``exact`` and the image has another size.
        """
        converted = image.convert(image_mode(self.num_channels))
        if converted.size == (self.size, self.size):
            return converted
        if self.kind == "crop":
            return self._crop(converted)
        if self.kind == "pad":
            return self._pad(converted)
        width, height = image.size
        raise CorruptImageError(
            f"has {width}x{height} pixels, not {self.size}x{self.size}; use fit: crop or fit: pad for other sizes"
        )

    def _crop(self, image: Image.Image) -> Image.Image:
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        square = image.crop((left, top, left + side, top + side))
        return square.resize((self.size, self.size), _FILTERS[self.resize])

    def _pad(self, image: Image.Image) -> Image.Image:
        longer = max(image.size)
        if longer > self.size:
            width, height = (max(1, round(side * self.size / longer)) for side in image.size)
            image = image.resize((width, height), _FILTERS[self.resize])
        canvas = Image.new(image.mode, (self.size, self.size))
        canvas.paste(image, ((self.size - image.width) // 2, (self.size - image.height) // 2))
        return canvas
