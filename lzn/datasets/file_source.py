"""Images that are files of a folder."""

import os
from collections.abc import Iterable
from pathlib import Path

from numpy.typing import ArrayLike

from lzn.datasets.labels import as_labels
from lzn.datasets.names import Names, printable


class FileSource:
    """Image files with labels.

    Args:
        root: the folder that they lie in.
        paths: their paths below ``root``.
        labels: whole numbers (n,).

    Raises:
        ValueError: there is not one label for each path.
    """

    def __init__(self, root: Path, paths: Iterable[str], labels: ArrayLike) -> None:
        self.root = root
        self.paths = Names.of(os.fsencode(path) for path in paths)
        self.labels = as_labels(labels, len(self.paths))

    def __len__(self) -> int:
        return len(self.paths)

    def name(self, index: int) -> str:
        """The file's path."""
        return printable(os.fsencode(self._path(index)))

    def read(self, index: int) -> bytes:
        """The file's content.

        Raises:
            OSError: the file cannot be read.
        """
        return self._path(index).read_bytes()

    def _path(self, index: int) -> Path:
        return self.root / os.fsdecode(self.paths[index])
