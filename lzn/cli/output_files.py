"""Output files of commands. Existing files are kept unless ``force`` is set; a failed write leaves no file."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lzn.base.files import atomic_write
from lzn.inference.errors import UserError
from lzn.inference.images import Images, make_grid, to_pil_image


@dataclass(frozen=True)
class OutputFile:
    """A file to write, checked before the work whose result it holds.

    Raises:
        UserError: the file exists without ``force``, its suffix is not in ``suffixes``, or its folder is missing.
    """

    path: Path
    force: bool
    suffixes: Sequence[str]

    def __post_init__(self) -> None:
        if self.path.suffix.lower() not in self.suffixes:
            raise UserError(f"--out {self.path}: end the name in {' or '.join(self.suffixes)}")
        if self.path.is_dir():
            raise UserError(f"--out {self.path} is a folder: name a file")
        if self.path.exists() and not self.force:
            raise UserError(f"{self.path} exists: choose another --out, or overwrite it with --force")
        if not self.path.parent.is_dir():
            raise UserError(
                f"--out {self.path}: the folder {self.path.parent} does not exist: create it first"
            )

    def write(self, save: Callable[[Path], object]) -> None:
        """Call ``save`` with a temporary path in the same folder, then rename the complete file."""
        with atomic_write(self.path) as partial:
            save(partial)


@dataclass(frozen=True)
class OutputFolder:
    """A folder for images, checked before the work whose result it holds.

    Raises:
        UserError: the path is a file, or a folder with files without ``force``.
    """

    path: Path
    force: bool

    def __post_init__(self) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise UserError(f"--out {self.path} is a file: end the name in .png or .npy, or name a folder")
        if self.path.is_dir() and any(self.path.iterdir()) and not self.force:
            raise UserError(f"{self.path} holds files: choose another --out, or write into it with --force")

    def write_images(self, images: Images, names: Sequence[str]) -> None:
        """Write each image as ``<name>.png`` in its own size."""
        self.path.mkdir(parents=True, exist_ok=True)
        for image, name in zip(images, names, strict=True):
            with atomic_write(self.path / f"{name}.png") as partial:
                to_pil_image(image).save(partial)


def choose_images_output(path: Path, *, force: bool) -> OutputFile | OutputFolder:
    """Choose the format by the suffix: a grid (.png), an array (.npy), or without suffix a folder of PNG files.

    Raises:
        UserError: the output cannot be written; see `OutputFile` and `OutputFolder`.
    """
    if not path.suffix:
        return OutputFolder(path, force)
    return OutputFile(path, force, (".png", ".npy"))


def write_images(
    output: OutputFile | OutputFolder,
    images: Images,
    names: Sequence[str],
    classes: Sequence[str] | None,
) -> None:
    """Write images in the format that `choose_images_output` chose.

    ``names`` are those of the files in a folder, ``classes`` the text below each image of a grid; None: no text.
    """
    if isinstance(output, OutputFolder):
        output.write_images(images, names)
    elif output.path.suffix.lower() == ".npy":
        output.write(lambda file: np.save(file, images))
    else:
        output.write(lambda file: to_pil_image(make_grid(images, names=classes)).save(file))
