"""Interfaces of a data set on disk, before its preparation."""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lzn.datasets.left_out import LeftOutCounts


class ImageSource(Protocol):
    """The images of one split in a fixed order, read one at a time.

    Sources are small and can be pickled, because each process that reads has its own copy.
    """

    @property
    def labels(self) -> NDArray[np.int64]:
        """Class of each image (n,); zeros if the data set has no classes."""

    def __len__(self) -> int: ...

    def name(self, index: int) -> str:
        """Return the name of an image for messages: its path, or its place in an archive."""

    def read(self, index: int) -> bytes | NDArray[np.uint8]:
        """Return an image as an encoded file (JPEG, PNG, WebP, ...) or as pixels, uint8 (channels, height, width).

        Raises:
            OSError: the image cannot be read.
        """


@dataclass(frozen=True)
class RawDataSet:
    """A data set as it is distributed.

    Attributes:
        train: training images.
        test: test images; may be empty.
        num_classes: number of classes; 1 without classes.
        class_names: the name of each class in the order of the labels; empty without classes.
        left_out: the number of files beside the images that are not read, by the reason.

    Raises:
        ValueError: there are names, but not one for each class.
    """

    train: ImageSource
    test: ImageSource
    num_classes: int
    class_names: tuple[str, ...] = ()
    left_out: LeftOutCounts = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.class_names) not in (0, self.num_classes):
            raise ValueError(f"class_names has {len(self.class_names)} names for {self.num_classes} classes")
