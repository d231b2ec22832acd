"""Image files in a folder."""

import os
from collections.abc import Iterable
from pathlib import Path

from numpy.typing import ArrayLike

from lzn.datasets.labels import as_labels
from lzn.datasets.names import PackedNames, printable


class FileSource:
    """Image files with labels.

    Args:
        root: the folder.
        paths: paths of the files below ``root``.
        labels: whole numbers (n,).

    Raises:
        ValueError: ``labels`` does not hold one label per path.
    """

    def __init__(self, root: Path, paths: Iterable[str], labels: ArrayLike) -> None:
        self.root = root
        self.paths = PackedNames.of(os.fsencode(path) for path in paths)
        self.labels = as_labels(labels, len(self.paths))

    def __len__(self) -> int:
        return len(self.paths)

    def name(self, index: int) -> str:
        """Return the file's path."""
        return printable(os.fsencode(self._path(index)))

    def read(self, index: int) -> bytes:
        """Return the file's content.

        Raises:
            OSError: the file cannot be read.
        """
        return self._path(index).read_bytes()

    def _path(self, index: int) -> Path:
        return self.root / os.fsdecode(self.paths[index])
