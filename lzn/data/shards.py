"""Images that stay on disk, in files (shards) of many images each: as pixels, or as encoded image files."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lzn.data.decoding import array_from_image, decode_image, image_from_array, image_mode
from lzn.data.images import ChosenImages, ImageArray
from lzn.data.shard_files import Index, MappedFiles, ShardPositions, check_counts, offsets_file


class PixelShards:
    """Images in shards of pixels, ``.npy`` files of uint8 (k, channels, height, width): an `ImageArray`.

    A file is opened when an image in it is first read, in each process anew. What is read is a copy in memory.
    """

    def __init__(
        self, files: Sequence[Path], counts: Sequence[int], *, image_shape: tuple[int, int, int]
    ) -> None:
        """Take the files in the order of their images, with the number of images in each.

        Raises:
            ValueError: not one positive number for each file.
        """
        check_counts(files, counts)
        self._files, self._counts, self._image_shape = tuple(files), tuple(counts), tuple(image_shape)
        self._arrays, self._positions = MappedFiles(files), ShardPositions(counts)

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

    def __len__(self) -> int:
        return len(self._positions)

    def __getitem__(self, index: Index, /) -> NDArray[np.uint8]:
        """The chosen images (m, channels, height, width), in the order of ``index``.

        Raises:
            IndexError: an image does not exist.
            ValueError: a file does not hold what it should.
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
                f"{self._files[shard]} holds {array.dtype} {array.shape} instead of uint8 {expected}; "
                "prepare the data set again"
            )
        return array


class EncodedShards:
    """Images in shards of encoded image files: the files' bytes one after the other, and int64 offsets (k + 1,).

    A shard is opened when an image in it is first read, in each process anew.
    """

    def __init__(self, files: Sequence[Path], counts: Sequence[int], *, num_channels: int) -> None:
        """Take the files of bytes in the order of their images, with the number of images in each.

        Raises:
            ValueError: not one positive number for each file, or neither 1 nor 3 channels.
        """
        check_counts(files, counts)
        image_mode(num_channels)
        self._files, self._counts = tuple(files), tuple(counts)
        self._num_channels = num_channels
        self._bytes = MappedFiles(files)
        self._offsets = MappedFiles([offsets_file(file) for file in files])
        self._positions = ShardPositions(counts)

    def __len__(self) -> int:
        return len(self._positions)

    @property
    def num_channels(self) -> int:
        """Channels of the images that `open` gives."""
        return self._num_channels

    def resolve(self, index: Index) -> NDArray[np.int64]:
        """Numbers (m,) of the images that ``index`` chooses.

        Raises:
            IndexError: an image does not exist.
        """
        return self._positions.resolve(index)

    def read(self, index: int) -> bytes:
        """The encoded image, as it was written.

        Raises:
            IndexError: there is no such image.
            ValueError: a file does not hold what it should.
        """
        (number,) = self._positions.resolve(np.array([index]))
        shard, place = self._positions.locate(int(number))
        content, offsets = self._bytes[shard], self._offsets[shard]
        if offsets.shape != (self._counts[shard] + 1,) or offsets[-1] != len(content):
            raise ValueError(
                f"{self._files[shard]} and its offsets do not belong together; prepare the data set again"
            )
        return content[offsets[place] : offsets[place + 1]].tobytes()

    def open(self, index: int) -> Image.Image:
        """The image, as 8-bit grey or colour.

        Raises:
            IndexError: there is no such image.
            CorruptImageError: it cannot be decoded.
        """
        return decode_image(self.read(index), num_channels=self._num_channels)


class DecodedImages:
    """Encoded images as an `ImageArray`: decoded when they are read, and brought to one size by a transform."""

    def __init__(
        self,
        encoded: EncodedShards,
        *,
        transform: Callable[[Image.Image], NDArray[np.uint8]] = array_from_image,
        shape: tuple[int, int, int],
    ) -> None:
        """Decode from ``encoded``; ``transform`` gives uint8 of ``shape``, (channels, height, width).

        A transform that other processes use must be picklable.
        """
        self._encoded, self._transform, self._image_shape = encoded, transform, tuple(shape)

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

    def __len__(self) -> int:
        return len(self._encoded)

    def __getitem__(self, index: Index, /) -> NDArray[np.uint8]:
        """The chosen images (m, channels, height, width), in the order of ``index``.

        Raises:
            IndexError: an image does not exist.
            CorruptImageError: an image cannot be decoded.
            ValueError: the transform gives another shape.
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
        """The image as it was stored, before the transform: of any size where originals are stored."""
        return self._encoded.open(index)


def open_image(images: ImageArray, index: int) -> Image.Image:
    """One image, as 8-bit grey or colour: the stored original where there is one, else from its pixels.

    Raises:
        IndexError: there is no such image.
        CorruptImageError: it cannot be decoded.
        ValueError: its number of channels is neither 1 nor 3.
    """
    if isinstance(images, ChosenImages):
        return open_image(images.images, int(images.indices[index]))
    if isinstance(images, DecodedImages):
        return images.open(index)
    return image_from_array(images[np.array([index])][0])
