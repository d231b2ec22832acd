"""Read the members of tar archives in place, by the offsets of their bytes; no member is extracted."""

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
    """A file in an archive.

    Attributes:
        name: path in the archive, without a leading ``./``.
        offset: position of its first byte in the file of the outermost archive.
        size: number of bytes.
    """

    name: str
    offset: int
    size: int


def index_tar(archive: Path, within: TarMember | None = None) -> list[TarMember]:
    """List the files of an uncompressed tar archive, sorted by name.

    Args:
        archive: the archive's file.
        within: a member that is a tar archive; its files are listed instead.

    Raises:
        ValueError: the archive is damaged, truncated or compressed, or a member is not a regular file or folder, has
            a path outside the archive, or occurs twice.
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
            raise ValueError(f"{title} contains {first.name} twice; make the archive again")
    return members


def read_member(archive: Path, member: TarMember) -> bytes:
    """Read a member's bytes.

    Raises:
        OSError: the file cannot be read, or ends within the member.
    """
    with archive.open("rb", buffering=0) as file:
        file.seek(member.offset)
        content = _read_fully(file, member.size)
    if len(content) < member.size:
        raise OSError(f"{archive}: {member.name}: the file ends after {len(content)} of {member.size} bytes")
    return content


def read_gzipped_members(archive: Path, names: Collection[str]) -> dict[str, bytes]:
    """Read the named files of a ``.tar.gz`` archive; absent files are left out of the result.

    Raises:
        ValueError: the archive is damaged or truncated, or a named member is not a regular file.
        OSError: the file cannot be read.
    """
    found: dict[str, bytes] = {}
    try:
        with gzip.open(archive) as stream, tarfile.open(fileobj=stream, mode="r:") as tar:
            for entry in tar:
                name = entry.name.removeprefix("./")
                if name in names:
                    _check_regular_file(entry, str(archive))
                    content = tar.extractfile(entry)
                    assert content is not None  # regular files have content
                    found[name] = content.read()
            while stream.read(_CHUNK):  # read to the end, where gzip checks its checksum
                pass
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{archive} is damaged or truncated ({error}); download it again") from error
    return found


def _list_entries(section: "_Section", title: str) -> list[tarfile.TarInfo]:
    """List the files, and check that the listing ends at the archive's end mark."""
    try:
        with tarfile.open(fileobj=section, mode="r:") as tar:
            entries = [entry for entry in tar if not entry.isdir()]
            end = tar.offset
    except tarfile.TarError as error:
        raise ValueError(
            f"{title} is damaged, truncated or compressed ({error}); download it again, or decompress it"
        ) from error
    # tarfile stops silently at a damaged header, as if it were the end of the archive.
    section.seek(end)
    if section.read(BLOCK) != bytes(BLOCK):
        raise ValueError(f"{title} is damaged or truncated at byte {end}; download it again")
    return entries


def _checked_name(entry: tarfile.TarInfo, title: str) -> str:
    _check_regular_file(entry, title)
    path = PurePosixPath(entry.name)
    if path.is_absolute() or ".." in path.parts or "\0" in entry.name or not path.parts:
        raise ValueError(f"{title}: the path of a member is outside the archive: {entry.name!r}")
    return str(path)


def _check_regular_file(entry: tarfile.TarInfo, title: str) -> None:
    if not entry.isreg() or entry.issparse():
        raise ValueError(
            f"{title}: {entry.name!r} is a link, a device or a sparse file; only regular files are read"
        )


def _read_fully(file: IO[bytes], size: int) -> bytes:
    """Read ``size`` bytes or up to the end of the file; one unbuffered read can return less."""
    parts: list[bytes] = []
    missing = size
    while missing and (part := file.read(missing)):
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


class _Section(io.RawIOBase):
    """The bytes of one member as a file."""

    def __init__(self, file: IO[bytes], member: TarMember) -> None:
        self._file = file
        self._start = member.offset
        self._size = member.size
        self._place = 0

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        assert whence == io.SEEK_SET  # the only value that tarfile uses
        self._place = offset
        return offset

    def read(self, size: int = -1) -> bytes:
        left = max(self._size - self._place, 0)
        self._file.seek(self._start + self._place)
        content = self._file.read(left if size < 0 else min(size, left))
        self._place += len(content)
        return content
