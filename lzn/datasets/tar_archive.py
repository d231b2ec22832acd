"""Tar archives that are read where they lie: where each member's bytes are, nothing is extracted."""

import gzip
import io
import tarfile
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import IO

_CHUNK = 1 << 20  # bytes
BLOCK = 512  # bytes; a tar archive ends with blocks of zeros


@dataclass(frozen=True, slots=True)
class TarMember:
    """A file within an archive.

    Attributes:
        name: its path in the archive, without a leading ``./``.
        offset: where its bytes begin in the outermost archive's file.
        size: their number.
    """

    name: str
    offset: int
    size: int


def index_tar(archive: Path, within: TarMember | None = None) -> list[TarMember]:
    """List the files of an uncompressed tar archive, sorted by name.

    Args:
        archive: the archive's file.
        within: list the files of this member instead, which is a tar archive itself.

    Raises:
        ValueError: the archive is damaged, cut off or compressed, or a member is not a plain file or folder, has a
            path that leads out of the archive, or is there twice.
        OSError: the file cannot be read.
    """
    title = str(archive) if within is None else f"{archive}: {within.name}"
    with archive.open("rb") as file:
        outer = within or TarMember(archive.name, 0, archive.stat().st_size)
        section = _Section(file, outer)
        members = [
            TarMember(_checked_name(entry, title), outer.offset + entry.offset_data, entry.size)
            for entry in _list_entries(section, title)
        ]
    members.sort(key=lambda member: member.name)
    for first, second in pairwise(members):
        if first.name == second.name:
            raise ValueError(f"{title}: {first.name} is in it twice; which one is meant?")
    return members


def read_member(archive: Path, member: TarMember) -> bytes:
    """Read a member's bytes.

    Raises:
        OSError: they cannot be read, or the file ends before they do.
    """
    with archive.open("rb", buffering=0) as file:
        file.seek(member.offset)
        content = _read_fully(file, member.size)
    if len(content) < member.size:
        raise OSError(f"{archive}: {member.name}: the file ends after {len(content)} of {member.size} bytes")
    return content


def read_gzipped_members(archive: Path, names: Collection[str]) -> dict[str, bytes]:
    """Read the named files of a ``.tar.gz`` archive; those that it does not have are left out of the result.

    Raises:
        ValueError: the archive is damaged or cut off, or a named member is not a plain file.
        OSError: the file cannot be read.
    """
    found: dict[str, bytes] = {}
    try:
        with gzip.open(archive) as stream, tarfile.open(fileobj=stream, mode="r:") as tar:
            for entry in tar:
                name = entry.name.removeprefix("./")
                if name in names:
                    _check_plain_file(entry, str(archive))
                    content = tar.extractfile(entry)
                    assert content is not None  # plain files have content
                    found[name] = content.read()
            while stream.read(_CHUNK):  # up to the end, where gzip compares its checksum
                pass
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{archive} is damaged or cut off ({error}); download it again") from error
    return found


def _list_entries(section: "_Section", title: str) -> list[tarfile.TarInfo]:
    """List files, having made sure that the listing ended at the archive's end mark."""
    try:
        with tarfile.open(fileobj=section, mode="r:") as tar:
            entries = [entry for entry in tar if not entry.isdir()]
            end = tar.offset
    except tarfile.TarError as error:
        raise ValueError(
            f"{title} is damaged, cut off or compressed ({error}); download it again, or decompress it"
        ) from error
    # tarfile takes a damaged header for the end of the archive: what follows would silently be missing.
    section.seek(end)
    if section.read(BLOCK) != bytes(BLOCK):
        raise ValueError(f"{title} is damaged or cut off at byte {end}; download it again")
    return entries


def _checked_name(entry: tarfile.TarInfo, title: str) -> str:
    _check_plain_file(entry, title)
    path = PurePosixPath(entry.name)
    if path.is_absolute() or ".." in path.parts or "\0" in entry.name or not path.parts:
        raise ValueError(f"{title}: a member's path leads out of the archive: {entry.name!r}")
    return str(path)


def _check_plain_file(entry: tarfile.TarInfo, title: str) -> None:
    if not entry.isreg() or entry.issparse():
        raise ValueError(f"{title}: {entry.name!r} is a link, a device or sparse; only plain files are read")


def _read_fully(file: IO[bytes], size: int) -> bytes:
    """Read ``size`` bytes, or up to the end: one unbuffered read may return less."""
    parts: list[bytes] = []
    missing = size
    while missing and (part := file.read(missing)):
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


class _Section(io.RawIOBase):
    """The bytes of one member, as a file of their own."""

    def __init__(self, file: IO[bytes], member: TarMember) -> None:
        self._file = file
        self._start = member.offset
        self._size = member.size
        self._place = 0

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        assert whence == io.SEEK_SET  # all that tarfile uses
        self._place = offset
        return offset

    def read(self, size: int = -1) -> bytes:
        left = max(self._size - self._place, 0)
        self._file.seek(self._start + self._place)
        content = self._file.read(left if size < 0 else min(size, left))
        self._place += len(content)
        return content
