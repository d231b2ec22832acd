"""Images that are the values of an LMDB database, as LSUN is distributed."""

import os
from functools import lru_cache
from pathlib import Path

import lmdb
from numpy.typing import ArrayLike

from lzn.datasets.labels import as_labels
from lzn.datasets.names import Names, printable


class LmdbSource:
    """Image files under keys; the database is opened at the first read, in each process for itself.

    Args:
        folder: the database's folder, with ``data.mdb``.
        keys: keys of the images.
        labels: whole numbers (n,).

    Raises:
        ValueError: there is not one label for each key.
    """

    def __init__(self, folder: Path, keys: Names, labels: ArrayLike) -> None:
        self.folder = folder
        self.keys = keys
        self.labels = as_labels(labels, len(keys))

    def __len__(self) -> int:
        return len(self.keys)

    def name(self, index: int) -> str:
        """The database's path and the key."""
        return f"{printable(os.fsencode(self.folder))}: {printable(self.keys[index])}"

    def read(self, index: int) -> bytes:
        """The value under the key.

        Raises:
            OSError: the key is gone, or the database is damaged there.
        """
        try:
            with _open_database(self.folder).begin() as transaction:
                content: bytes | None = transaction.get(self.keys[index])
        except lmdb.Error as error:
            raise OSError(f"{self.name(index)}: {error}") from error
        if content is None:
            raise OSError(f"{self.name(index)}: the key is not in the database any more")
        return content


def list_keys(folder: Path) -> Names:
    """List the keys of a database, in their sorted order.

    Raises:
        ValueError: the folder is not an LMDB database, or it is damaged.
    """
    try:
        with _open_database(folder).begin() as transaction, transaction.cursor() as cursor:
            return Names.of(cursor.iternext(keys=True, values=False))
    except lmdb.Error as error:
        raise ValueError(
            f"{folder} cannot be read as an LMDB database ({error}); download it again"
        ) from error


def _open_database(folder: Path) -> lmdb.Environment:
    return _open_once(folder.resolve())


@lru_cache(maxsize=8)
def _open_once(folder: Path) -> lmdb.Environment:
    """Open a database for reading, once: LMDB does not let a process open one twice at a time."""
    # Without a lock file, read-only media will do; nobody writes meanwhile. Images are read in any order.
    return lmdb.open(str(folder), readonly=True, lock=False, readahead=False, create=False)


# An open database must not be used in a child of the process that opened it: the child opens its own.
os.register_at_fork(after_in_child=_open_once.cache_clear)
