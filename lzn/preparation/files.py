"""Files that are complete or not there."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray


def write_atomically(file: Path, write: Callable[[BinaryIO], object]) -> None:
    """Let ``write`` fill ``file``; whoever looks sees nothing or what was there before, until it is complete."""
    partial = file.with_name(f"{file.name}.partial")
    with partial.open("wb") as stream:
        write(stream)
    partial.replace(file)


def write_array(file: Path, array: NDArray[Any]) -> None:
    """Write ``array`` as ``.npy``, complete or not at all."""
    write_atomically(file, lambda stream: np.save(stream, array, allow_pickle=False))


def sha256_of(file: Path) -> str:
    """Hash of a file's content, 64 hexadecimal digits."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
