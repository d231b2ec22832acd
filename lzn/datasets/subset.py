"""Subsets of a source, and random splits."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lzn.datasets.left_out import LeftOutCounts
from lzn.datasets.source import ImageSource, RawDataSet


class Subset:
    """Some images of a source, in the order of ``indices``.

    Args:
        source: the source of the images.
        indices: whole numbers (m,), each from 0 to ``len(source) - 1``.

    Raises:
        ValueError: an index is out of range.
    """

    def __init__(self, source: ImageSource, indices: ArrayLike) -> None:
        chosen = np.asarray(indices, dtype=np.int64).reshape(-1)
        if chosen.size and (chosen.min() < 0 or chosen.max() >= len(source)):
            raise ValueError(f"indices must lie between 0 and {len(source) - 1}")
        self.source = source
        self.indices = chosen

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def labels(self) -> NDArray[np.int64]:
        """Class of each image, int64 (m,)."""
        return self.source.labels[self.indices]

    def name(self, index: int) -> str:
        """Return the image's name in the source."""
        return self.source.name(int(self.indices[index]))

    def read(self, index: int) -> bytes | NDArray[np.uint8]:
        """Read the image from the source."""
        return self.source.read(int(self.indices[index]))


@dataclass(frozen=True)
class SplitIndices:
    """The image indices of both splits, ascending int64; each image is in exactly one split."""

    train: NDArray[np.int64]
    test: NDArray[np.int64]


def stratified_split(labels: NDArray[np.int64], *, test_fraction: float, seed: int) -> SplitIndices:
    """Choose test images at random with the same share of every class.

    The number of test images of a class is exact to one image. At least one image of a class is for training.

    Args:
        labels: class of each image, int64 (n,).
        test_fraction: share of the images that is for testing, in [0, 1).
        seed: seed of the choice.

    Raises:
        ValueError: ``test_fraction`` is not in [0, 1).
    """
    if not 0.0 <= test_fraction < 1.0:
        raise ValueError(f"test_fraction must be at least 0 and below 1, got {test_fraction}")
    counts = np.bincount(labels)
    # Round the running total and not each class, so that the total is right for small classes.
    totals = np.rint(test_fraction * np.concatenate([[0], np.cumsum(counts)])).astype(np.int64)
    generator = np.random.default_rng(seed)
    is_test = np.zeros(len(labels), dtype=bool)
    for label, (count, share) in enumerate(zip(counts, np.diff(totals), strict=True)):
        members = generator.permutation(np.flatnonzero(labels == label))
        is_test[members[: min(share, max(count - 1, 0))]] = True
    return SplitIndices(train=np.flatnonzero(~is_test), test=np.flatnonzero(is_test))


def split_at_random(
    source: ImageSource,
    *,
    num_classes: int,
    class_names: tuple[str, ...] = (),
    left_out: LeftOutCounts | None = None,
    test_fraction: float,
    seed: int,
) -> RawDataSet:
    """Split a source with `stratified_split`."""
    chosen = stratified_split(source.labels, test_fraction=test_fraction, seed=seed)
    train, test = Subset(source, chosen.train), Subset(source, chosen.test)
    return RawDataSet(train, test, num_classes, class_names, left_out or {})
