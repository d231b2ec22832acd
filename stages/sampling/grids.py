"""Grids of sampled images as in the paper (Figures 5, 9-16, 22, 23), as PNG files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.utils import save_image

from lzn.base.files import atomic_write
from lzn.data import dequantise

COLUMNS = 10
ROWS = 10
ROWS_PER_CLASS = 5
MAX_CLASSES = 10
IMAGE_PIXELS = 48
"""Smaller images are magnified by the largest integer that keeps them within this width."""

Images = NDArray[np.uint8]
"""(n, c, h, w)"""


def classes_in_grid(labels: NDArray[np.int64]) -> list[int]:
    """Return the classes that a grid of images with these labels has, in its order."""
    present: list[int] = np.unique(labels)[:MAX_CLASSES].tolist()
    return present


def save_grid(images: Images, labels: NDArray[np.int64] | None, file: Path) -> None:
    """Save the first images, ten in a row. With ``labels`` (n,), five rows of each of the first ten classes.

    If a class has fewer images, the end of its rows is white.
    """
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
    _save(images, cells, file, columns=COLUMNS)


def save_columns(images: Images, labels: NDArray[np.int64], file: Path) -> None:
    """Save one column of five images for each of the first ten classes; this picture is wider than high."""
    columns = [
        _padded(np.flatnonzero(labels == label)[:ROWS_PER_CLASS], multiple_of=ROWS_PER_CLASS)
        for label in classes_in_grid(labels)
    ]
    cells = [column[row] for row in range(ROWS_PER_CLASS) for column in columns]
    _save(images, cells, file, columns=len(columns))


def _padded(chosen: NDArray[np.int64], *, multiple_of: int) -> list[int | None]:
    return [*chosen.tolist(), *[None] * (-len(chosen) % multiple_of)]


def _save(images: Images, cells: Sequence[int | None], file: Path, *, columns: int) -> None:
    """Save the images at the indices ``cells``, row by row; None is a white cell."""
    white = np.full_like(images[0], 255)
    chosen = np.stack([white if cell is None else images[cell] for cell in cells])
    magnification = max(1, IMAGE_PIXELS // images.shape[-1])
    large = torch.kron((dequantise(chosen) + 1) / 2, torch.ones(magnification, magnification))
    with atomic_write(file) as partial:
        save_image(large, partial, nrow=columns, padding=2, pad_value=1.0)
