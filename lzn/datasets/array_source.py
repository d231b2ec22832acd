"""Images in memory."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lzn.datasets.labels import as_labels


class ArraySource:
    """Pixels and labels of a small data set.

    Args:
        images: uint8 (n, channels, height, width).
        labels: whole numbers (n,).
        title: name for messages, such as ``digits (train)``.

    Raises:
        ValueError: a dtype or a shape is wrong.
    """

    def __init__(self, images: NDArray[np.uint8], labels: ArrayLike, *, title: str) -> None:
        if images.dtype != np.uint8 or images.ndim != 4:
            raise ValueError(f"{title}: images must be uint8 (n, c, h, w), got {images.dtype} {images.shape}")
        self.images = images
        self.labels = as_labels(labels, len(images))
        self.title = title

    def __len__(self) -> int:
        return len(self.images)

    def name(self, index: int) -> str:
        """Return the title and the image's number from 0."""
        return f"{self.title}, image {range(len(self))[index]}"

    def read(self, index: int) -> NDArray[np.uint8]:
        """Return the pixels, uint8 (channels, height, width)."""
        pixels: NDArray[np.uint8] = self.images[index]
        return pixels
