"""Real image files that tests make, and sources of them."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def noise(width: int, height: int, *, channels: int = 3, seed: int = 0) -> Image.Image:
    """An image of independent random pixels."""
    shape = (height, width) if channels == 1 else (height, width, channels)
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    """The image as a file of a kind such as PNG."""
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


@dataclass(frozen=True)
class ListSource:
    """A source of what a test lists; ``unreadable`` names images whose reading fails, with the failure."""

    contents: Sequence[bytes | NDArray[np.uint8]]
    labels: NDArray[np.int64]
    unreadable: Mapping[int, str]

    @staticmethod
    def of(
        contents: Sequence[bytes | NDArray[np.uint8]], *, unreadable: Mapping[int, str] | None = None
    ) -> "ListSource":
        """Images with the labels 0, 1, 2, 0, 1, ..."""
        labels = np.arange(len(contents), dtype=np.int64) % 3
        return ListSource(contents, labels, unreadable or {})

    def __len__(self) -> int:
        return len(self.contents)

    def name(self, index: int) -> str:
        """Such as ``image-3``."""
        return f"image-{index}"

    def read(self, index: int) -> bytes | NDArray[np.uint8]:
        """What was listed."""
        if index in self.unreadable:
            raise OSError(self.unreadable[index])
        return self.contents[index]
