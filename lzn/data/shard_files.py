"""Files of many images each (shards): what they are called, which image is where, and access without reading all."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Index = slice | NDArray[np.integer[Any]]

Storage = Literal["pixels", "png", "original"]
"""How images are stored: uncompressed, all of one size; losslessly compressed, all of one size; or as the original
image files, of any size."""


@dataclass(frozen=True)
class Shard:
    """One shard.

    Attributes:
        name: unique in its data set; its files' names begin with it.
        num_images: at least 1.
        sha256: of each of its files, by file name.
    """

    name: str
    num_images: int
    sha256: Mapping[str, str]


def shard_file(folder: Path, name: str, storage: Storage) -> Path:
    """The file with a shard's images."""
    return folder / f"{name}{'.npy' if storage == 'pixels' else '.bin'}"


def labels_file(folder: Path, split: str) -> Path:
    """The file with a split's labels, int64 (n,)."""
    return folder / f"{split}_labels.npy"


def offsets_file(shard: Path) -> Path:
    """Where the offsets of a shard of encoded images are."""
    return shard.with_name(f"{shard.stem}_offsets.npy")


class ShardPositions:
    """Which shard an image is in, and where in it."""

    def __init__(self, counts: Sequence[int]) -> None:
        self._ends = np.cumsum(counts, dtype=np.int64)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def resolve(self, index: Index) -> NDArray[np.int64]:
        """Numbers of the chosen images, from 0, with NumPy's meaning of slices and negative numbers."""
        if isinstance(index, slice):
            return np.arange(*index.indices(len(self)), dtype=np.int64)
        chosen = np.asarray(index)
        if chosen.ndim != 1 or not (np.issubdtype(chosen.dtype, np.integer) or chosen.size == 0):
            raise IndexError(
                f"choose images by a slice or integers (m,), not by {chosen.dtype} {chosen.shape}"
            )
        numbers = chosen.astype(np.int64)
        numbers = np.where(numbers < 0, numbers + len(self), numbers)
        outside = (numbers < 0) | (numbers >= len(self))
        if outside.any():
            raise IndexError(f"image {chosen[outside][0]} of {len(self)} does not exist")
        return numbers

    def locate(self, number: int) -> tuple[int, int]:
        """Shard and place of one image."""
        shard = int(np.searchsorted(self._ends, number, side="right"))
        return shard, number - (int(self._ends[shard - 1]) if shard else 0)

    def by_shard(
        self, numbers: NDArray[np.int64]
    ) -> Iterator[tuple[int, NDArray[np.intp], NDArray[np.int64]]]:
        """For each shard that is needed: the shard, where its images go in the result, and their places in it."""
        shards = np.searchsorted(self._ends, numbers, side="right")
        starts = np.concatenate([[0], self._ends])
        for shard in np.unique(shards):
            targets = np.flatnonzero(shards == shard)
            yield int(shard), targets, numbers[targets] - starts[shard]


class MappedFiles:
    """Arrays on disk that each process maps into its memory when it first needs them."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = tuple(files)
        self._mapped: dict[int, NDArray[Any]] = {}

    def __getstate__(self) -> tuple[Path, ...]:
        return self._files  # what is mapped would be copied to the other process

    def __setstate__(self, files: tuple[Path, ...]) -> None:
        self._files, self._mapped = files, {}

    def __getitem__(self, number: int) -> NDArray[Any]:
        if number not in self._mapped:
            file = self._files[number]
            raw = file.suffix != ".npy"
            self._mapped[number] = np.memmap(file, np.uint8, "r") if raw else np.load(file, mmap_mode="r")
        return self._mapped[number]


def check_counts(files: Sequence[Path], counts: Sequence[int]) -> None:
    """Raise a ValueError unless there is one positive number for each file."""
    if len(files) != len(counts) or any(count < 1 for count in counts):
        raise ValueError(f"each of {len(files)} shards needs its number of images, at least 1; got {counts}")
