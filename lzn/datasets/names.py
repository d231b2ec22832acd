"""Many names in one buffer. A list of millions of strings takes several times the memory, in every process."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class PackedNames:
    """A fixed sequence of byte strings.

    Attributes:
        buffer: the concatenated names.
        ends: int64 (n,), end of each name in ``buffer``.
    """

    buffer: bytes
    ends: NDArray[np.int64]

    @classmethod
    def of(cls, names: Iterable[bytes]) -> "PackedNames":
        """Pack ``names`` in their order."""
        listed = list(names)
        lengths = np.fromiter((len(name) for name in listed), np.int64, len(listed))
        return cls(b"".join(listed), np.cumsum(lengths, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, index: int) -> bytes:
        place = range(len(self))[index]  # supports negative indices and raises IndexError
        start = int(self.ends[place - 1]) if place else 0
        return self.buffer[start : int(self.ends[place])]


def printable(name: bytes) -> str:
    """Convert a name to text for messages and files; bytes that are not UTF-8 become ``\\xff``."""
    return name.decode("utf-8", "backslashreplace")
