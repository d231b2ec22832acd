"""Images in a tar archive, or in the archives within one."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from lzn.datasets.labels import as_labels
from lzn.datasets.names import Names, printable
from lzn.datasets.tar_archive import TarMember, read_member


class TarSource:
    """Image files that are read from an uncompressed tar archive where it lies.

    Args:
        archive: the archive's file.
        members: the images, as `index_tar` finds them.
        labels: whole numbers (n,).

    Raises:
        ValueError: there is not one label for each member.
    """

    def __init__(self, archive: Path, members: Sequence[TarMember], labels: ArrayLike) -> None:
        self.archive = archive
        self.names = Names.of(os.fsencode(member.name) for member in members)
        self.offsets = np.array([member.offset for member in members], dtype=np.int64)
        self.sizes = np.array([member.size for member in members], dtype=np.int64)
        self.labels = as_labels(labels, len(members))

    def __len__(self) -> int:
        return len(self.names)

    def name(self, index: int) -> str:
        """The archive's path and the image's path in it."""
        return f"{printable(os.fsencode(self.archive))}: {printable(self.names[index])}"

    def read(self, index: int) -> bytes:
        """The image file's content.

        Raises:
            OSError: it cannot be read, or the archive ends before it does.
        """
        name = os.fsdecode(self.names[index])
        member = TarMember(name, int(self.offsets[index]), int(self.sizes[index]))
        return read_member(self.archive, member)
