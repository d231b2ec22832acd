"""Where a data set's images come from, before they are brought into the uniform form."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class ImageSource(Protocol):
    """The images of one split in a fixed order, read one at a time.

    Sources are small and picklable: several processes read from copies of one.
    """

    @property
    def labels(self) -> NDArray[np.int64]:
        """Class of each image (n,); zeros where the data set has no classes."""

    def __len__(self) -> int: ...

    def name(self, index: int) -> str:
        """What a message calls an image: its path, or its place in an archive."""

    def read(self, index: int) -> bytes | NDArray[np.uint8]:
        """An image as an encoded file (JPEG, PNG, WebP, ...), or as its pixels, uint8 (channels, height, width).

        Raises:
            OSError: it cannot be read.
        """


@dataclass(frozen=True)
class RawDataSet:
    """A data set as people have it on disk.

    Attributes:
        train: images to train on.
        test: images to test on; may be empty.
        num_classes: number of classes; 1 where there are none.
    """

    train: ImageSource
    test: ImageSource
    num_classes: int


class MissingDataError(ValueError):
    """A data set is not where it should be; the message says what to download, from where, and where to put it."""
