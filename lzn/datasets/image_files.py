"""Find the image files in a folder, in an order that does not depend on the file system."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from lzn.base.file_kinds import HEAD_BYTES, kind_of
from lzn.datasets.file_source import FileSource
from lzn.datasets.left_out import LeftOut, LeftOutCounts, below
from lzn.datasets.names import printable
from lzn.datasets.source import ImageSource

IMAGE_SUFFIXES = frozenset(
    {
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".png",
        ".webp",
        ".bmp",
        ".gif",
        ".tif",
        ".tiff",
        ".ppm",
        ".pgm",
        ".pbm",
    }
)
# Folders that operating systems and storage systems make, in small letters; they hold thumbnails and deleted files.
_SYSTEM_FOLDERS = frozenset(
    {
        "__macosx", "__pycache__", "@eadir", "@recycle", "@tmp", "#recycle", "#snapshot", "$recycle.bin", "recycler",
        "recycled", "lost+found", "found.000", "system volume information",
    }
)  # fmt: skip
_SYSTEM_FILES = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini"})
_UNFINISHED = frozenset({".part", ".partial", ".tmp", ".crdownload", ".download"})
UNFINISHED = "an unfinished download"
HIDDEN = "hidden, or of the operating system"


def is_image_name(path: str) -> bool:
    """Return whether a file name has an image suffix and is not hidden (such as ``._cat.jpg``)."""
    name = PurePosixPath(path).name
    return not _is_hidden(name) and _ending(name) in IMAGE_SUFFIXES


@dataclass(frozen=True)
class FoundImages:
    """The images in a folder.

    Attributes:
        paths: their paths below the folder, sorted, with ``/`` between their parts.
        left_out: the number of files that are not images, by the reason.
        folders: all first folders, sorted, also those without images.
    """

    paths: list[str] = field(default_factory=list)
    left_out: LeftOutCounts = field(default_factory=dict)
    folders: tuple[str, ...] = ()


def find_images(root: Path) -> list[str]:
    """List the image files below ``root``, sorted: see `scan_images`."""
    return scan_images(root).paths


def scan_images(root: Path) -> FoundImages:
    """Find the image files below ``root``, and count the other files.

    A file is an image if it has the ending of one; a file with another ending, or without one, is an image if its
    first bytes are those of one. Links to files and folders are followed. A folder that is reached twice, such as
    through a loop of links, is listed once, under its real path if that is below ``root``.

    Raises:
        FileNotFoundError: an image is a broken link.
        OSError: a folder cannot be listed.
    """
    scan = _Scan(root)
    linked = scan.list_real_folders("")
    while linked:
        deeper: list[str] = []
        for folder in sorted(linked):
            if scan.is_new(folder):
                deeper += scan.list_real_folders(folder)
        linked = deeper
    return FoundImages(sorted(scan.images), scan.left_out, tuple(sorted(scan.folders)))


class _Scan:
    """The state of `scan_images`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.images: list[str] = []
        self.left_out: Counter[LeftOut] = Counter()
        self.folders: set[str] = set()
        self._seen = {_identity(root)}

    def is_new(self, folder: str) -> bool:
        """Return whether the folder was not reached before, and note it."""
        identity = _identity(self.root / folder)
        if identity in self._seen:
            return False
        self._seen.add(identity)
        return True

    def list_real_folders(self, start: str) -> list[str]:
        """Add the files of ``start`` and its real subfolders; return the subfolders that are links."""
        linked: list[str] = []
        waiting = [start]
        while waiting:
            folder = waiting.pop()
            with os.scandir(self.root / folder) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
            for entry in listed:
                path = f"{folder}/{entry.name}" if folder else entry.name
                if _is_hidden(entry.name):
                    self._leave_out(path, HIDDEN)
                elif entry.is_dir(follow_symlinks=False):
                    if self.is_new(path):
                        self._note_folder(path)
                        waiting.append(path)
                elif entry.is_symlink() and Path(entry.path).is_dir():
                    self._note_folder(path)
                    linked.append(path)
                else:
                    self._add_file(entry, path)
        return linked

    def _note_folder(self, path: str) -> None:
        if "/" not in path:
            self.folders.add(path)

    def _add_file(self, entry: os.DirEntry[str], path: str) -> None:
        ending = _ending(entry.name)
        if ending in IMAGE_SUFFIXES:
            if _is_present(entry):
                self.images.append(path)
            return
        reason = UNFINISHED if ending in _UNFINISHED else _why_no_image(Path(entry.path))
        if reason is None:
            self.images.append(path)
        else:
            self._leave_out(path, reason)

    def _leave_out(self, path: str, reason: str) -> None:
        name = PurePosixPath(path)
        folder = name.parts[0] if len(name.parts) > 1 else ""
        self.left_out[LeftOut(_shown(folder), _shown(_ending(name.name)), reason)] += 1


def _why_no_image(file: Path) -> str | None:
    """Return why a file without the ending of an image is left out; None if its content is an image."""
    try:
        if not file.is_file():
            return "not a regular file"
        with file.open("rb") as stream:
            kind = kind_of(stream.read(HEAD_BYTES))
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if kind is None:
        return "not an image"
    return None if kind.is_image else f"{kind.name}; not a supported image"


def _is_present(entry: os.DirEntry[str]) -> bool:
    """Return whether the entry is a file.

    A broken link is an error, because its image would be left out silently.
    """
    if entry.is_symlink() and not Path(entry.path).exists():
        raise FileNotFoundError(f"{entry.path} is a broken link; restore its target or remove the link")
    return entry.is_file()


def _ending(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


def _shown(name: str) -> str:
    return printable(os.fsencode(name))


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in _SYSTEM_FOLDERS or name.lower() in _SYSTEM_FILES


@dataclass(frozen=True)
class FoundSource:
    """A source of images, and the number of files beside them that are left out, by the reason."""

    source: ImageSource
    left_out: LeftOutCounts = field(default_factory=dict)


def images_of_classes(root: Path, classes: Sequence[str]) -> FoundSource:
    """Return the images of the folders ``root/<class>``; the label of a class is its index in ``classes``.

    Raises:
        ValueError: a class has no images.
    """
    paths: list[str] = []
    counts: list[int] = []
    left_out: Counter[LeftOut] = Counter()
    for name in classes:
        found = scan_images(root / name)
        if not found.paths:
            raise ValueError(f"{root / name} contains no images; a class needs at least one")
        paths += [f"{name}/{path}" for path in found.paths]
        counts.append(len(found.paths))
        left_out += below(name, found.left_out)
    return FoundSource(FileSource(root, paths, np.repeat(np.arange(len(classes)), counts)), left_out)


def source_of_classes(root: Path, classes: Sequence[str]) -> ImageSource:
    """Return the source of `images_of_classes`."""
    return images_of_classes(root, classes).source
