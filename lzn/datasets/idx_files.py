"""IDX files, the format of MNIST: a magic number, the shape, then the bytes."""

import gzip
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_UNSIGNED_BYTE = 0x08


def read_idx(file: Path) -> NDArray[np.uint8]:
    """Read an IDX file of bytes; a file whose name ends in ``.gz`` is decompressed.

    Raises:
        ValueError: the file is damaged, truncated, or of another type.
        OSError: the file cannot be read.
    """
    content = _read(file)
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != _UNSIGNED_BYTE:
        raise ValueError(f"{file} is not an IDX file of bytes: it begins with {content[:4].hex(' ')}")
    header = 4 + 4 * content[3]
    shape = tuple(int(size) for size in np.frombuffer(content[4:header], dtype=">u4"))
    values = np.frombuffer(content[header:], dtype=np.uint8)
    expected = int(np.prod(shape, dtype=np.int64))
    if len(shape) != content[3] or len(values) != expected:
        raise ValueError(
            f"{file} is damaged or truncated: {len(values)} bytes follow its header instead of {expected}; "
            "download it again"
        )
    return values.reshape(shape)


def _read(file: Path) -> bytes:
    if file.suffix != ".gz":
        return file.read_bytes()
    try:
        return gzip.decompress(file.read_bytes())
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{file} is damaged or truncated ({error}); download it again") from error
