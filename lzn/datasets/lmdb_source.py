"""Images in an LMDB database, the format of LSUN."""

import os
from functools import lru_cache
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from lzn.base.extras import from_extra
from lzn.datasets.labels import as_labels
from lzn.datasets.names import PackedNames, printable


class LmdbSource:
    """Image files under keys. Each process opens the database at its first read.

    Args:
        folder: the database's folder, which contains ``data.mdb``.
        keys: keys of the images.
        labels: whole numbers (n,).

    Raises:
        ValueError: ``labels`` does not hold one label per key.
    """

    def __init__(self, folder: Path, keys: PackedNames, labels: ArrayLike) -> None:
        self.folder = folder
        self.keys = keys
        self.labels = as_labels(labels, len(keys))

    def __len__(self) -> int:
        return len(self.keys)

    def name(self, index: int) -> str:
        """Return the database's path and the key."""
        return f"{printable(os.fsencode(self.folder))}: {printable(self.keys[index])}"

    def read(self, index: int) -> bytes:
        """Return the value under the key.

        Raises:
            OSError: the key does not exist, or the database is damaged.
        """
        try:
            with _open_database(self.folder).begin() as transaction:
                content: bytes | None = transaction.get(self.keys[index])
        except _lmdb().Error as error:
            raise OSError(f"{self.name(index)}: {error}") from error
        if content is None:
            raise OSError(f"{self.name(index)}: the key is not in the database")
        return content


def list_keys(folder: Path) -> PackedNames:
    """List the sorted keys of a database.

    Raises:
        ValueError: the folder is not an LMDB database, or the database is damaged.
    """
    try:
        with _open_database(folder).begin() as transaction, transaction.cursor() as cursor:
            return PackedNames.of(cursor.iternext(keys=True, values=False))
    except _lmdb().Error as error:
        raise ValueError(
            f"{folder} cannot be read as an LMDB database ({error}); download it again"
        ) from error


def _lmdb() -> Any:
    with from_extra("images"):
        import lmdb  # noqa: PLC0415 - only LSUN needs it
    return lmdb


def _open_database(folder: Path) -> Any:
    return _open_once(folder.resolve())


@lru_cache(maxsize=8)
def _open_once(folder: Path) -> Any:
    """Open a database for reading once per process, because LMDB does not allow a second time."""
    # No lock file, because the folder can be read-only and nobody writes. No readahead, because reads are random.
    return _lmdb().open(str(folder), readonly=True, lock=False, readahead=False, create=False)


# A forked child must not use a database that its parent opened, so it opens the database again.
os.register_at_fork(after_in_child=_open_once.cache_clear)
