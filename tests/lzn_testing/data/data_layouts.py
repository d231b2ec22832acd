"""Fashion-MNIST's IDX files, and the contents of a source. `rehearsal.file_formats` writes the other formats."""

import struct

import numpy as np
from numpy.typing import NDArray

from lzn.datasets import ImageSource


def contents(source: ImageSource) -> list[bytes]:
    return [bytes(source.read(index)) for index in range(len(source))]


def idx_of(array: NDArray[np.uint8]) -> bytes:
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()
