"""Bringing an image of any size to the square size of a data set."""

from dataclasses import dataclass
from typing import Literal

from PIL import Image

from lzn.data.decoding import CorruptImageError, image_mode

FitKind = Literal["crop", "pad", "exact"]

# Antialiased, and the sharpest of Pillow's filters; images are shrunk once, so its cost does not matter.
_FILTER = Image.Resampling.LANCZOS


@dataclass(frozen=True, kw_only=True)
class Fit:
    """How images get their size and channels.

    Attributes:
        kind: ``crop``: the largest centred square, resized. ``pad``: shrunk where it is larger, never enlarged, and
            centred on black. ``exact``: images must have the size already.
        size: side of the result, in pixels.
        num_channels: 1 (grey) or 3 (colour) of the result.

    Raises:
        ValueError: the size is below 1, or another number of channels.
    """

    kind: FitKind
    size: int
    num_channels: int

    def __post_init__(self) -> None:
        image_mode(self.num_channels)
        if self.size < 1:
            raise ValueError(f"size must be at least 1, got {self.size}")

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of the result."""
        return self.num_channels, self.size, self.size

    def __call__(self, image: Image.Image) -> Image.Image:
        """The image in size and mode of the result.

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
            f"has {width}x{height} pixels, not {self.size}x{self.size} (fit: crop and fit: pad take any size)"
        )

    def _crop(self, image: Image.Image) -> Image.Image:
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        square = image.crop((left, top, left + side, top + side))
        return square.resize((self.size, self.size), _FILTER)

    def _pad(self, image: Image.Image) -> Image.Image:
        longer = max(image.size)
        if longer > self.size:
            width, height = (max(1, round(side * self.size / longer)) for side in image.size)
            image = image.resize((width, height), _FILTER)
        canvas = Image.new(image.mode, (self.size, self.size))
        canvas.paste(image, ((self.size - image.width) // 2, (self.size - image.height) // 2))
        return canvas
