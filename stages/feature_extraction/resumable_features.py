"""Features written to a file batch by batch, by one process or several; a killed extraction can be resumed."""

import os
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

FEATURES = "features.f32"
FINISHED = "finished"
CHECKSUM = np.dtype(np.uint64)


@dataclass(frozen=True)
class ResumableFeatures:
    """A float32 array (n, d) in a folder of unfinished work, with a checksum for each finished batch.

    Batches may be written in any order by several processes. A batch is finished if its rows have its checksum, so a
    killed process or a power failure leaves no wrong rows. The folder must belong to this one array: name it by a hash
    of everything that determines the features.
    """

    folder: Path
    num_rows: int
    width: int
    batch_size: int

    @property
    def num_batches(self) -> int:
        """Number of batches; the last one may be smaller."""
        return -(-self.num_rows // self.batch_size)

    def open(self) -> None:
        """Create the files, or open existing ones.

        Raises:
            OSError: the disk has no room for the whole array.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, size in (
            (FEATURES, self.num_rows * self.width * 4),
            (FINISHED, self.num_batches * CHECKSUM.itemsize),
        ):
            with (self.folder / name).open("ab") as file:
                if size:
                    os.posix_fallocate(file.fileno(), 0, size)

    def unfinished(self) -> list[int]:
        """Return the numbers of the unfinished batches."""
        checksums = np.fromfile(self.folder / FINISHED, CHECKSUM)
        with (self.folder / FEATURES).open("rb") as file:
            return [
                batch for batch, checksum in enumerate(checksums) if not self._has(file, batch, int(checksum))
            ]

    def rows(self, batch: int) -> slice:
        """Return the rows of a batch."""
        return slice(batch * self.batch_size, min((batch + 1) * self.batch_size, self.num_rows))

    def write(self, batch: int, values: NDArray[np.float32]) -> None:
        """Write one batch (b, d)."""
        rows = self.rows(batch)
        assert values.dtype == np.float32
        assert values.shape == (rows.stop - rows.start, self.width)
        content = np.ascontiguousarray(values).tobytes()
        _write_at(self.folder / FEATURES, rows.start * self.width * 4, content)
        _write_at(
            self.folder / FINISHED,
            batch * CHECKSUM.itemsize,
            np.array(_checksum(content), CHECKSUM).tobytes(),
        )

    @contextmanager
    def finished_file(self) -> Iterator[Path]:
        """Yield the finished file, which the caller moves elsewhere; then delete the folder."""
        assert not self.unfinished()
        yield self.folder / FEATURES
        shutil.rmtree(self.folder)

    def _has(self, file: BinaryIO, batch: int, checksum: int) -> bool:
        if checksum == 0:
            return False
        rows = self.rows(batch)
        file.seek(rows.start * self.width * 4)
        return _checksum(file.read((rows.stop - rows.start) * self.width * 4)) == checksum


def _checksum(content: bytes) -> int:
    return 1 + zlib.crc32(content)  # not 0, which fills the new file


def _write_at(file: Path, offset: int, content: bytes) -> None:
    with file.open("r+b") as stream:
        stream.seek(offset)
        stream.write(content)
