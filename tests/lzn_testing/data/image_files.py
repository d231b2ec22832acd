"""Random images, their encoded files, and sources of them."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def noise(width: int, height: int, *, channels: int = 3, seed: int = 0) -> Image.Image:
    """Return an image of independent random pixels."""
    shape = (height, width) if channels == 1 else (height, width, channels)
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    """Encode an image as a file of a format such as PNG."""
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


@dataclass(frozen=True)
class ListSource:
    """A source of listed images; ``unreadable`` maps images that cannot be read to the error message."""

    contents: Sequence[bytes | NDArray[np.uint8]]
    labels: NDArray[np.int64]
    unreadable: Mapping[int, str]

    @staticmethod
    def of(
        contents: Sequence[bytes | NDArray[np.uint8]], *, unreadable: Mapping[int, str] | None = None
    ) -> "ListSource":
        """Build a source with the labels 0, 1, 2, 0, 1, ..."""
        labels = np.arange(len(contents), dtype=np.int64) % 3
        return ListSource(contents, labels, unreadable or {})

    def __len__(self) -> int:
        return len(self.contents)

    def name(self, index: int) -> str:
        """Return a name such as ``image-3``."""
        return f"image-{index}"

    def read(self, index: int) -> bytes | NDArray[np.uint8]:
        """Return a listed image."""
        if index in self.unreadable:
            raise OSError(self.unreadable[index])
        return self.contents[index]
