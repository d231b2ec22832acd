"""A fingerprint of the files of a data set by names, sizes and times, so that a change is noticed without reading them.

DVC cannot watch a folder outside of the repository without hashing all of its content. A fingerprint of three million
files takes 20 s of a CPU where the file system has their status in memory (measured: 6.5 us a file), and as long as
three million calls of ``stat`` where it has not: minutes on a disk or a network. Archives and databases are few files.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from lzn.base.files import write_json


@dataclass(frozen=True)
class SourceFiles:
    """The files of a data set at some time.

    Attributes:
        num_files: number of files.
        num_bytes: sum of their sizes.
        sha256: hash of their paths, sizes and times of modification.
    """

    num_files: int
    num_bytes: int
    sha256: str


def take_fingerprint(places: Sequence[Path]) -> SourceFiles | None:
    """Return the fingerprint of files and folders; None if none of them exists.

    Hidden files and folders are left out. Links are followed; a folder that is reached twice counts once.
    """
    existing = [place for place in places if place.exists()]
    if not existing:
        return None
    digest, num_files, num_bytes = hashlib.sha256(), 0, 0
    for place in existing:
        digest.update(b"\0" + os.fsencode(place) + b"\0")
        for path, status in _files_in(place):
            digest.update(b"%s\0%d\0%d\0" % (path, status.st_size, status.st_mtime_ns))
            num_files += 1
            num_bytes += status.st_size
    return SourceFiles(num_files, num_bytes, digest.hexdigest())


def _files_in(place: Path) -> Iterator[tuple[bytes, os.stat_result]]:
    if not place.is_dir():
        yield b"", place.stat()
        return
    root = os.fsencode(place)
    seen: set[tuple[int, int]] = set()
    waiting = [b""]
    while waiting:
        folder = waiting.pop()
        full = os.path.join(root, folder)  # noqa: PTH118 - bytes, and pathlib takes several times as long
        identity = _identity(os.stat(full))  # noqa: PTH116
        if identity in seen:
            continue
        seen.add(identity)
        with os.scandir(full) as listed:
            entries = sorted(
                (entry for entry in listed if not entry.name.startswith(b".")), key=lambda e: e.name
            )
        for entry in entries:
            path = folder + b"/" + entry.name if folder else entry.name
            try:
                status = entry.stat()
                is_folder = entry.is_dir()
            except OSError:
                continue  # a broken link; the stage prepare reports it
            if is_folder:
                waiting.append(path)
            else:
                yield path, status


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def write_fingerprint(file: Path, found: SourceFiles) -> None:
    """Write a fingerprint."""
    write_json(file, asdict(found))


def read_fingerprint(file: Path) -> SourceFiles | None:
    """Read a fingerprint; None if there is none, or it is of another version."""
    try:
        return SourceFiles(**json.loads(file.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
