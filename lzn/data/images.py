"""The uniform form of every data set: uint8 images (n, channels, height, width) with int64 labels (n,)."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class ImageArray(Protocol):
    """What is used of a uint8 array (n, channels, height, width): a NumPy array, or images that stay on disk."""

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
        """The chosen images (m, channels, height, width), in the order of ``index``."""


@dataclass(frozen=True)
class ImageSet:
    """Images and labels of one split.

    Attributes:
        images: uint8 (n, channels, height, width); may stay on disk.
        labels: int64 (n,).

    Raises:
        ValueError: dtypes or shapes do not fit.
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
class ChosenImages:
    """Some of the images of an array, in the order of ``indices`` (m,), read when they are asked for."""

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


def dequantise(images: NDArray[np.uint8]) -> Tensor:
    """Grey levels 0..255 as float32 in [-1, 1]."""
    return torch.from_numpy(images.astype(np.float32)).div_(127.5).sub_(1.0)


def quantise(images: Tensor) -> NDArray[np.uint8]:
    """Images in [-1, 1] as grey levels; values outside are clipped."""
    levels = images.detach().cpu().add(1.0).mul(127.5).round().clamp(0, 255)
    array: NDArray[np.uint8] = levels.to(torch.uint8).numpy()
    return array
