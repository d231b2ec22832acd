"""Find the image files in a folder, in an order that does not depend on the file system."""

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from lzn.datasets.file_source import FileSource

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm"}
)


def is_image_name(path: str) -> bool:
    """Return whether a file name has an image suffix and is not hidden (such as ``._cat.jpg``)."""
    name = PurePosixPath(path).name
    return not _is_hidden(name) and PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES


def find_images(root: Path) -> list[str]:
    """List the image files below ``root``, sorted: paths below ``root`` with ``/`` between their parts.

    Links to files and folders are followed. A folder that is reached twice, such as through a loop of links,
    is listed once, under its real path if that is below ``root``.

    Raises:
        FileNotFoundError: an image is a broken link.
        OSError: a folder cannot be listed.
    """
    seen = {_identity(root)}
    images: list[str] = []
    linked = _list_real_folders(root, "", images, seen)
    while linked:
        deeper: list[str] = []
        for folder in sorted(linked):
            identity = _identity(root / folder)
            if identity not in seen:
                seen.add(identity)
                deeper += _list_real_folders(root, folder, images, seen)
        linked = deeper
    return sorted(images)


def _list_real_folders(root: Path, start: str, images: list[str], seen: set[tuple[int, int]]) -> list[str]:
    """Add the images of ``start`` and its real subfolders; return the subfolders that are links."""
    linked: list[str] = []
    waiting = [start]
    while waiting:
        folder = waiting.pop()
        with os.scandir(root / folder) as entries:
            visible = sorted((entry for entry in entries if not _is_hidden(entry.name)), key=lambda e: e.name)
        for entry in visible:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if entry.is_dir(follow_symlinks=False):
                identity = _identity(root / path)
                if identity not in seen:
                    seen.add(identity)
                    waiting.append(path)
            elif entry.is_symlink() and Path(entry.path).is_dir():
                linked.append(path)
            elif is_image_name(entry.name) and _is_present(entry):
                images.append(path)
    return linked


def _is_present(entry: os.DirEntry[str]) -> bool:
    """Return whether the entry is a file.

    A broken link is an error, because its image would be left out silently.
    """
    if entry.is_symlink() and not Path(entry.path).exists():
        raise FileNotFoundError(f"{entry.path} is a broken link; restore its target or remove the link")
    return entry.is_file()


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def source_of_classes(root: Path, classes: Sequence[str]) -> FileSource:
    """Return the images of the folders ``root/<class>``; the label of a class is its index in ``classes``.

    Raises:
        ValueError: a class has no images.
    """
    paths: list[str] = []
    counts: list[int] = []
    for name in classes:
        found = find_images(root / name)
        if not found:
            raise ValueError(f"{root / name} contains no images; a class needs at least one")
        paths += [f"{name}/{path}" for path in found]
        counts.append(len(found))
    return FileSource(root, paths, np.repeat(np.arange(len(classes)), counts))
