"""Data sets of random images whose first pixel is their number, in memory and as encoded files in a shard."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lzn.data import DecodedImages, EncodedShards, ImageSet

NUM_IMAGES = 23


def numbered_images(num: int = NUM_IMAGES, channels: int = 1, size: int = 4) -> NDArray[np.uint8]:
    """Return random images whose first pixel is their number."""
    images = np.random.default_rng(0).integers(0, 256, (num, channels, size, size), dtype=np.uint8)
    images[:, :, 0, 0] = np.arange(num)[:, None] % 256
    return images


def numbered_set(num: int = NUM_IMAGES, channels: int = 1, size: int = 4) -> ImageSet:
    return ImageSet(numbered_images(num, channels, size), np.arange(num, dtype=np.int64) * 10)


def encoded_shard(folder: Path, contents: list[bytes]) -> DecodedImages:
    """Write 16x16 colour image files into one shard and open it."""
    (folder / "images.bin").write_bytes(b"".join(contents))
    np.save(folder / "images_offsets.npy", np.cumsum([0, *map(len, contents)]))
    shards = EncodedShards([folder / "images.bin"], [len(contents)], num_channels=3)
    return DecodedImages(shards, shape=(3, 16, 16))
