"""The form of every prepared data set: uint8 images (n, channels, height, width) with int64 labels (n,)."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class ImageArray(Protocol):
    """The interface of uint8 images (n, channels, height, width): a NumPy array, or images on disk."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """uint8."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, channels, height, width)."""

    @property
    def ndim(self) -> int:
        """4."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: slice | NDArray[np.integer[Any]], /) -> NDArray[np.uint8]:
        """Return images (m, channels, height, width) in the order of ``index``."""


@dataclass(frozen=True)
class ImageSet:
    """Images and labels of one split.

    Attributes:
        images: uint8 (n, channels, height, width), in memory or on disk.
        labels: int64 (n,).

    Raises:
        ValueError: a dtype or a shape is wrong.
    """

    images: ImageArray
    labels: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.images.dtype != np.uint8 or self.images.ndim != 4:
            raise ValueError(
                f"images must be uint8 (n, c, h, w), got {self.images.dtype} {self.images.shape}"
            )
        if self.labels.dtype != np.int64 or self.labels.shape != self.images.shape[:1]:
            raise ValueError(
                f"labels must be int64 ({len(self.images)},), got {self.labels.dtype} {self.labels.shape}"
            )

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class ImageSubset:
    """The images of an array at ``indices`` (m,), in this order; an image is read when it is indexed."""

    images: ImageArray
    indices: NDArray[np.int64]

    @property
    def dtype(self) -> np.dtype[Any]:
        """uint8."""
        return self.images.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """(m, channels, height, width)."""
        return (len(self.indices), *self.images.shape[1:])

    @property
    def ndim(self) -> int:
        """4."""
        return self.images.ndim

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: slice | NDArray[np.integer[Any]], /) -> NDArray[np.uint8]:
        return self.images[self.indices[index]]


def dequantise(images: NDArray[np.uint8] | Tensor) -> Tensor:
    """Convert pixel values 0..255 to float32 in [-1, 1]; a tensor stays on its device."""
    levels = images.float() if isinstance(images, Tensor) else torch.from_numpy(images.astype(np.float32))
    return levels.div_(127.5).sub_(1.0)


def quantise(images: Tensor) -> NDArray[np.uint8]:
    """Convert images in [-1, 1] to pixel values 0..255; values outside are clipped."""
    levels = images.detach().cpu().add(1.0).mul(127.5).round().clamp(0, 255)
    array: NDArray[np.uint8] = levels.to(torch.uint8).numpy()
    return array
