"""Images in a tar archive or in its nested archives."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from lzn.datasets.labels import as_labels
from lzn.datasets.names import PackedNames, printable
from lzn.datasets.tar_archive import TarMember, read_member


class TarSource:
    """Image files in an uncompressed tar archive, which is not unpacked.

    Args:
        archive: the archive's file.
        members: the images, from `index_tar`.
        labels: whole numbers (n,).

    Raises:
        ValueError: ``labels`` does not hold one label per member.
    """

    def __init__(self, archive: Path, members: Sequence[TarMember], labels: ArrayLike) -> None:
        self.archive = archive
        self.names = PackedNames.of(os.fsencode(member.name) for member in members)
        self.offsets = np.array([member.offset for member in members], dtype=np.int64)
        self.sizes = np.array([member.size for member in members], dtype=np.int64)
        self.labels = as_labels(labels, len(members))

    def __len__(self) -> int:
        return len(self.names)

    def name(self, index: int) -> str:
        """Return the archive's path and the image's path in it."""
        return f"{printable(os.fsencode(self.archive))}: {printable(self.names[index])}"

    def read(self, index: int) -> bytes:
        """Return the image file's content.

        Raises:
            OSError: the archive cannot be read, or ends within the image.
        """
        name = os.fsdecode(self.names[index])
        member = TarMember(name, int(self.offsets[index]), int(self.sizes[index]))
        return read_member(self.archive, member)
