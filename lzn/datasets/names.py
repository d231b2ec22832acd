"""Millions of names in one buffer: a list of strings takes several times the memory, in every process."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Names:
    """A fixed sequence of byte strings.

    Attributes:
        buffer: all of them, one after the other.
        ends: int64 (n,), where each one ends in ``buffer``.
    """

    buffer: bytes
    ends: NDArray[np.int64]

    @classmethod
    def of(cls, names: Iterable[bytes]) -> "Names":
        """Store ``names`` in their order."""
        listed = list(names)
        lengths = np.fromiter((len(name) for name in listed), np.int64, len(listed))
        return cls(b"".join(listed), np.cumsum(lengths, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, index: int) -> bytes:
        place = range(len(self))[index]  # negative indices, and IndexError beyond the ends
        start = int(self.ends[place - 1]) if place else 0
        return self.buffer[start : int(self.ends[place])]


def printable(name: bytes) -> str:
    """A name for messages and text files; bytes that are not UTF-8 appear as ``\\xff``."""
    return name.decode("utf-8", "backslashreplace")
