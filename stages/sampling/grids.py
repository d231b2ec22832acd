"""Grids of sampled images as in the paper (Figures 5, 9-16, 22, 23), as PNG files."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torchvision.utils import save_image

from lzn.base.files import atomic_write
from lzn.data import dequantise
from lzn.inference.images import TEXT_HEIGHT, text_image

COLUMNS = 10
ROWS = 10
ROWS_PER_CLASS = 5
MAX_CLASSES = 10
IMAGE_PIXELS = 48
"""Smaller images are magnified by the largest integer that keeps them within this width."""

_GAP = 2
_NAME_PIXELS = 96
"""Width of the names left of a grid."""

Images = NDArray[np.uint8]
"""(n, c, h, w)"""


def classes_in_grid(labels: NDArray[np.int64]) -> list[int]:
    """Return the classes that a grid of images with these labels has, in its order."""
    present: list[int] = np.unique(labels)[:MAX_CLASSES].tolist()
    return present


def save_grid(
    images: Images, labels: NDArray[np.int64] | None, file: Path, names: Sequence[str] = ()
) -> None:
    """Save the first images, ten in a row. With ``labels`` (n,), five rows of each of the first ten classes.

    If a class has fewer images, the end of its rows is white. ``names`` are those of the classes in the grid, which are
    written left of the first row of each; without names nothing is written.
    """
    beside: list[str] = []
    if labels is None:
        cells: list[int | None] = list(range(min(len(images), ROWS * COLUMNS)))
    else:
        cells = [
            cell
            for label in classes_in_grid(labels)
            for cell in _padded(
                np.flatnonzero(labels == label)[: ROWS_PER_CLASS * COLUMNS], multiple_of=COLUMNS
            )
        ]
        for name, label in zip(names, classes_in_grid(labels), strict=bool(names)):
            rows = min(ROWS_PER_CLASS, math.ceil(np.count_nonzero(labels == label) / COLUMNS))
            beside += [name, *[""] * (rows - 1)]
    _save(images, cells, file, columns=COLUMNS, beside=beside)


def save_columns(images: Images, labels: NDArray[np.int64], file: Path, names: Sequence[str] = ()) -> None:
    """Save one column of five images for each of the first ten classes; this picture is wider than high.

    ``names`` are those of the classes in the grid, which are written above the columns.
    """
    columns = [
        _padded(np.flatnonzero(labels == label)[:ROWS_PER_CLASS], multiple_of=ROWS_PER_CLASS)
        for label in classes_in_grid(labels)
    ]
    cells = [column[row] for row in range(ROWS_PER_CLASS) for column in columns]
    _save(images, cells, file, columns=len(columns), above=names)


def _padded(chosen: NDArray[np.int64], *, multiple_of: int) -> list[int | None]:
    return [*chosen.tolist(), *[None] * (-len(chosen) % multiple_of)]


def _save(
    images: Images,
    cells: Sequence[int | None],
    file: Path,
    *,
    columns: int,
    beside: Sequence[str] = (),
    above: Sequence[str] = (),
) -> None:
    """Save the images at the indices ``cells``, row by row; None is a white cell.

    ``beside`` has a text for each row, and ``above`` for each column; if it is empty, there is no space for texts.
    """
    white = np.full_like(images[0], 255)
    chosen = np.stack([white if cell is None else images[cell] for cell in cells])
    magnification = max(1, IMAGE_PIXELS // images.shape[-1])
    large = torch.kron((dequantise(chosen) + 1) / 2, torch.ones(magnification, magnification))
    with atomic_write(file) as partial:
        save_image(large, partial, nrow=columns, padding=_GAP, pad_value=1.0)
        if beside or above:
            _add_names(partial, beside, above, cell=(large.shape[-2] + _GAP, large.shape[-1] + _GAP))


def _add_names(partial: Path, beside: Sequence[str], above: Sequence[str], *, cell: tuple[int, int]) -> None:
    """Write names left of the rows and above the columns of a saved grid, whose cells have this height and width."""
    with Image.open(partial) as opened:
        grid = opened.convert(opened.mode)
    left, top = _NAME_PIXELS * bool(beside), TEXT_HEIGHT * bool(above)
    named = Image.new(grid.mode, (grid.width + left, grid.height + top), "white")
    named.paste(grid, (left, top))
    height, width = cell
    for row, name in enumerate(beside):
        text = Image.fromarray(text_image(name, width=_NAME_PIXELS))
        named.paste(text, (0, row * height + (height - TEXT_HEIGHT) // 2))
    for column, name in enumerate(above):
        named.paste(Image.fromarray(text_image(name, width=width - _GAP)), (column * width + _GAP, 0))
    named.save(partial, "PNG")
