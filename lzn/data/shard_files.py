"""Shards, files of many images each: their names, the position of each image, and memory-mapped access."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Index = slice | NDArray[np.integer[Any]]

Storage = Literal["pixels", "png", "original"]
"""How images are stored. ``pixels``: uncompressed, of one size. ``png``: compressed without loss, of one size.
``original``: the original image files, of any size."""


@dataclass(frozen=True)
class Shard:
    """One shard.

    Attributes:
        name: unique name in the data set; the names of its files begin with it.
        num_images: number of images, at least 1.
        sha256: hash of each of its files, by file name.
    """

    name: str
    num_images: int
    sha256: Mapping[str, str]


def shard_file(folder: Path, name: str, storage: Storage) -> Path:
    """Return the path of a shard's images."""
    return folder / f"{name}{'.npy' if storage == 'pixels' else '.bin'}"


def labels_file(folder: Path, split: str) -> Path:
    """Return the path of a split's labels, int64 (n,)."""
    return folder / f"{split}_labels.npy"


def offsets_file(shard: Path) -> Path:
    """Return the path of the offsets of a shard of encoded images."""
    return shard.with_name(f"{shard.stem}_offsets.npy")


class ShardPositions:
    """The shard of each image, and its position in the shard."""

    def __init__(self, counts: Sequence[int]) -> None:
        self._ends = np.cumsum(counts, dtype=np.int64)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def resolve(self, index: Index) -> NDArray[np.int64]:
        """Convert an index to image numbers (m,) from 0; slices and negative numbers have NumPy's meaning.

        Raises:
            IndexError: the index is not of type `Index`, or an image does not exist.
        """
        if isinstance(index, slice):
            return np.arange(*index.indices(len(self)), dtype=np.int64)
        chosen = np.asarray(index)
        if chosen.ndim != 1 or not (np.issubdtype(chosen.dtype, np.integer) or chosen.size == 0):
            raise IndexError(f"an index must be a slice or integers (m,), got {chosen.dtype} {chosen.shape}")
        numbers = chosen.astype(np.int64)
        numbers = np.where(numbers < 0, numbers + len(self), numbers)
        outside = (numbers < 0) | (numbers >= len(self))
        if outside.any():
            raise IndexError(f"image {chosen[outside][0]} does not exist: there are {len(self)} images")
        return numbers

    def locate(self, number: int) -> tuple[int, int]:
        """Return the shard of one image, and its position in the shard."""
        shard = int(np.searchsorted(self._ends, number, side="right"))
        return shard, number - (int(self._ends[shard - 1]) if shard else 0)

    def by_shard(
        self, numbers: NDArray[np.int64]
    ) -> Iterator[tuple[int, NDArray[np.intp], NDArray[np.int64]]]:
        """Yield for each needed shard: its number, positions in the result, positions in the shard."""
        shards = np.searchsorted(self._ends, numbers, side="right")
        starts = np.concatenate([[0], self._ends])
        for shard in np.unique(shards):
            targets = np.flatnonzero(shards == shard)
            yield int(shard), targets, numbers[targets] - starts[shard]


class MappedFiles:
    """Arrays on disk; each process maps an array into memory at its first use."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = tuple(files)
        self._mapped: dict[int, NDArray[Any]] = {}

    def __getstate__(self) -> tuple[Path, ...]:
        return self._files  # without the maps: pickle would copy their content

    def __setstate__(self, files: tuple[Path, ...]) -> None:
        self._files, self._mapped = files, {}

    def __getitem__(self, number: int) -> NDArray[Any]:
        if number not in self._mapped:
            file = self._files[number]
            raw = file.suffix != ".npy"
            self._mapped[number] = np.memmap(file, np.uint8, "r") if raw else np.load(file, mmap_mode="r")
        return self._mapped[number]


def check_counts(files: Sequence[Path], counts: Sequence[int]) -> None:
    """Check that each file has a positive number of images.

    Raises:
        ValueError: a number is missing or below 1.
    """
    if len(files) != len(counts) or any(count < 1 for count in counts):
        raise ValueError(
            f"counts must hold one positive number for each of {len(files)} shards, got {counts}"
        )
