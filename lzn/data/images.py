"""The uniform form of every data set: uint8 images (n, channels, height, width) with int64 labels (n,)."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class ImageSet:
    """Images and labels of one split.

    Attributes:
        images: uint8 (n, channels, height, width); may be memory-mapped.
        labels: int64 (n,).

    Raises:
        ValueError: dtypes or shapes do not fit.
    """

    images: NDArray[np.uint8]
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
class DataSet:
    """A data set's two splits and its number of classes."""

    train: ImageSet
    test: ImageSet
    num_classes: int


def dequantise(images: NDArray[np.uint8]) -> Tensor:
    """Grey levels 0..255 as float32 in [-1, 1]."""
    return torch.from_numpy(images.astype(np.float32)).div_(127.5).sub_(1.0)


def quantise(images: Tensor) -> NDArray[np.uint8]:
    """Images in [-1, 1] as grey levels; values outside are clipped."""
    levels = images.detach().cpu().add(1.0).mul(127.5).round().clamp(0, 255)
    array: NDArray[np.uint8] = levels.to(torch.uint8).numpy()
    return array
