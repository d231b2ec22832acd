"""Images on disk, in shards (files of many images): stored as pixels, or as encoded image files."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lzn.data.decoding import (
    STRICT,
    DecodingRules,
    array_from_image,
    decode_image,
    image_from_array,
    image_mode,
)
from lzn.data.images import ImageArray, ImageSubset
from lzn.data.shard_files import Index, MappedFiles, ShardPositions, check_counts, offsets_file


class _StoredImages(ABC):
    """Images of one shape on disk, with the attributes of an `ImageArray`."""

    def __init__(self, image_shape: tuple[int, int, int]) -> None:
        self._image_shape = tuple(image_shape)

    @abstractmethod
    def __len__(self) -> int: ...

    @property
    def dtype(self) -> np.dtype[np.uint8]:
        """uint8."""
        return np.dtype(np.uint8)

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, channels, height, width)."""
        return (len(self), *self._image_shape)

    @property
    def ndim(self) -> int:
        """4."""
        return 4


class PixelShards(_StoredImages):
    """Images in ``.npy`` files of pixels, uint8 (k, channels, height, width): an `ImageArray`.

    Each process opens a file when it first reads an image from it. Indexing returns a copy in memory.
    """

    def __init__(
        self, files: Sequence[Path], counts: Sequence[int], *, image_shape: tuple[int, int, int]
    ) -> None:
        """Set the files in the order of their images, and the number of images in each.

        Raises:
            ValueError: ``counts`` does not hold one positive number per file.
        """
        super().__init__(image_shape)
        check_counts(files, counts)
        self._files, self._counts = tuple(files), tuple(counts)
        self._arrays, self._positions = MappedFiles(files), ShardPositions(counts)

    def __len__(self) -> int:
        return len(self._positions)

    def __getitem__(self, index: Index, /) -> NDArray[np.uint8]:
        """Return images (m, channels, height, width) in the order of ``index``.

        Raises:
            IndexError: an image does not exist.
            ValueError: a file has another dtype or shape than expected.
        """
        numbers = self._positions.resolve(index)
        images = np.empty((len(numbers), *self._image_shape), np.uint8)
        for shard, targets, places in self._positions.by_shard(numbers):
            images[targets] = self._array(shard)[places]
        return images

    def _array(self, shard: int) -> NDArray[np.uint8]:
        array = self._arrays[shard]
        expected = (self._counts[shard], *self._image_shape)
        if array.dtype != np.uint8 or array.shape != expected:
            raise ValueError(
                f"{self._files[shard]} holds {array.dtype} {array.shape}, not uint8 {expected}; "
                "run the stage prepare again"
            )
        return array


class EncodedShards:
    """Encoded image files in shards: the bytes of k files one after the other, and int64 offsets (k + 1,).

    Each process opens a shard when it first reads an image from it.
    """

    def __init__(
        self,
        files: Sequence[Path],
        counts: Sequence[int],
        *,
        num_channels: int,
        decoding: DecodingRules = STRICT,
    ) -> None:
        """Set the files of bytes in the order of their images, the number of images in each, and how to decode them.

        Raises:
            ValueError: ``counts`` does not hold one positive number per file, or ``num_channels`` is neither 1 nor 3.
        """
        check_counts(files, counts)
        image_mode(num_channels)
        self._files, self._counts = tuple(files), tuple(counts)
        self._num_channels, self._decoding = num_channels, decoding
        self._bytes = MappedFiles(files)
        self._offsets = MappedFiles([offsets_file(file) for file in files])
        self._positions = ShardPositions(counts)

    def __len__(self) -> int:
        return len(self._positions)

    @property
    def num_channels(self) -> int:
        """Number of channels of the images that `open` returns."""
        return self._num_channels

    def resolve(self, index: Index) -> NDArray[np.int64]:
        """Convert an index to image numbers (m,).

        Raises:
            IndexError: an image does not exist.
        """
        return self._positions.resolve(index)

    def read(self, index: int) -> bytes:
        """Return one encoded image file.

        Raises:
            IndexError: the image does not exist.
            ValueError: a shard and its offsets do not match.
        """
        (number,) = self._positions.resolve(np.array([index]))
        shard, place = self._positions.locate(int(number))
        content, offsets = self._bytes[shard], self._offsets[shard]
        if offsets.shape != (self._counts[shard] + 1,) or offsets[-1] != len(content):
            raise ValueError(
                f"{self._files[shard]} and its offsets do not match; run the stage prepare again"
            )
        return content[offsets[place] : offsets[place + 1]].tobytes()

    def open(self, index: int) -> Image.Image:
        """Decode one image to 8-bit grey or colour.

        Raises:
            IndexError: the image does not exist.
            CorruptImageError: the image cannot be decoded.
        """
        return decode_image(self.read(index), num_channels=self._num_channels, rules=self._decoding)


class DecodedImages(_StoredImages):
    """Encoded images as an `ImageArray`: images are decoded and transformed to one size when they are indexed."""

    def __init__(
        self,
        encoded: EncodedShards,
        *,
        transform: Callable[[Image.Image], NDArray[np.uint8]] = array_from_image,
        shape: tuple[int, int, int],
    ) -> None:
        """Set the encoded images and their transform, which returns uint8 of ``shape`` (channels, height, width).

        Worker processes need a transform that can be pickled.
        """
        super().__init__(shape)
        self._encoded, self._transform = encoded, transform

    def __len__(self) -> int:
        return len(self._encoded)

    def __getitem__(self, index: Index, /) -> NDArray[np.uint8]:
        """Return images (m, channels, height, width) in the order of ``index``.

        Raises:
            IndexError: an image does not exist.
            CorruptImageError: an image cannot be decoded.
            ValueError: the transform returned another shape.
        """
        numbers = self._encoded.resolve(index)
        images = np.empty((len(numbers), *self._image_shape), np.uint8)
        for target, number in enumerate(numbers):
            pixels = self._transform(self.open(int(number)))
            if pixels.shape != self._image_shape:
                raise ValueError(f"image {number} has shape {pixels.shape}, not {self._image_shape}")
            images[target] = pixels
        return images

    def open(self, index: int) -> Image.Image:
        """Decode one image without the transform; with storage ``original`` it can have any size."""
        return self._encoded.open(index)


def open_image(images: ImageArray, index: int) -> Image.Image:
    """Return one image, 8-bit grey or colour: the stored image file without a transform, or else the pixels.

    Raises:
        IndexError: the image does not exist.
        CorruptImageError: the image cannot be decoded.
        ValueError: the image has neither 1 nor 3 channels.
    """
    if isinstance(images, ImageSubset):
        return open_image(images.images, int(images.indices[index]))
    if isinstance(images, DecodedImages):
        return images.open(index)
    return image_from_array(images[np.array([index])][0])
