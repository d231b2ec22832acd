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
    """Convert a name to one line of text for messages and files.

    Line breaks and other characters that do not print, and bytes that are not UTF-8, become escapes such as ``\\n``,
    ``\\u2028`` and ``\\xff``; a backslash becomes two.
    """
    text = name.replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)
