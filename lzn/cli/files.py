"""What commands write: never over something that is there, unless asked to, and never half."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lzn.inference.errors import UserError
from lzn.inference.pictures import Images, as_picture, grid


@dataclass(frozen=True)
class OutputFile:
    """A file to be written, checked before any work is done for it.

    Raises:
        UserError: it is there and ``force`` is not given, its ending is none of ``endings``, or its folder is missing.
    """

    path: Path
    force: bool
    endings: Sequence[str]

    def __post_init__(self) -> None:
        if self.path.suffix.lower() not in self.endings:
            raise UserError(f"--out {self.path}: end the name in {' or '.join(self.endings)}")
        if self.path.is_dir():
            raise UserError(f"--out {self.path} is a folder: name a file")
        if self.path.exists() and not self.force:
            raise UserError(f"{self.path} exists: choose another --out, or overwrite it with --force")
        if not self.path.parent.is_dir():
            raise UserError(f"--out {self.path}: the folder {self.path.parent} does not exist; make it first")

    def write(self, save: Callable[[Path], object]) -> None:
        """Let ``save`` write beside the final place, and put it there when it is whole."""
        partial = self.path.with_name(f".{self.path.stem}.{os.getpid()}.partial{self.path.suffix}")
        try:
            save(partial)
            partial.replace(self.path)
        finally:
            partial.unlink(missing_ok=True)


@dataclass(frozen=True)
class OutputFolder:
    """A folder to be filled with images.

    Raises:
        UserError: it is there, holds something and ``force`` is not given, or is a file.
    """

    path: Path
    force: bool

    def __post_init__(self) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise UserError(f"--out {self.path} is a file: end the name in .png or .npy, or name a folder")
        if self.path.is_dir() and any(self.path.iterdir()) and not self.force:
            raise UserError(f"{self.path} holds files: choose another --out, or write into it with --force")

    def write_images(self, images: Images, names: Sequence[str]) -> None:
        """Each image as ``<name>.png`` in its own size."""
        self.path.mkdir(parents=True, exist_ok=True)
        for image, name in zip(images, names, strict=True):
            as_picture(image).save(self.path / f"{name}.png")


def choose_images_output(path: Path, *, force: bool) -> OutputFile | OutputFolder:
    """By the name's ending: a grid (.png), an array (.npy), or, without ending, a folder of PNG files.

    Raises:
        UserError: it must not or cannot be written.
    """
    if not path.suffix:
        return OutputFolder(path, force)
    return OutputFile(path, force, (".png", ".npy"))


def write_images(output: OutputFile | OutputFolder, images: Images, names: Sequence[str]) -> None:
    """Write drawn images in the form that `choose_images_output` chose."""
    if isinstance(output, OutputFolder):
        output.write_images(images, names)
    elif output.path.suffix.lower() == ".npy":
        output.write(lambda file: np.save(file, images))
    else:
        output.write(lambda file: as_picture(grid(images)).save(file))
