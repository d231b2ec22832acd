"""Grids of sampled images as the paper shows them (Figures 5, 9-16, 22, 23)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.utils import save_image

from lzn.data import dequantise

COLUMNS = 10
ROWS = 10
ROWS_OF_A_CLASS = 5
MAX_CLASSES = 10
IMAGE_PIXELS = 48
"""Small images are magnified to about this size."""

Images = NDArray[np.uint8]
"""(n, c, h, w)"""


def save_grid(images: Images, labels: NDArray[np.int64] | None, file: Path) -> None:
    """The first images, ten in a row; with ``labels`` (n,) five rows of each of the first ten classes.

    A class with fewer images leaves the end of its rows white.
    """
    if labels is None:
        cells: list[int | None] = list(range(min(len(images), ROWS * COLUMNS)))
    else:
        cells = [
            cell
            for label in np.unique(labels)[:MAX_CLASSES]
            for cell in _padded(
                np.flatnonzero(labels == label)[: ROWS_OF_A_CLASS * COLUMNS], multiple_of=COLUMNS
            )
        ]
    _save(images, cells, file, columns=COLUMNS)


def save_columns(images: Images, labels: NDArray[np.int64], file: Path) -> None:
    """A column of five images for each of the first ten classes: a picture that is wider than high."""
    columns = [
        _padded(np.flatnonzero(labels == label)[:ROWS_OF_A_CLASS], multiple_of=ROWS_OF_A_CLASS)
        for label in np.unique(labels)[:MAX_CLASSES]
    ]
    cells = [column[row] for row in range(ROWS_OF_A_CLASS) for column in columns]
    _save(images, cells, file, columns=len(columns))


def _padded(chosen: NDArray[np.int64], *, multiple_of: int) -> list[int | None]:
    return [*chosen.tolist(), *[None] * (-len(chosen) % multiple_of)]


def _save(images: Images, cells: Sequence[int | None], file: Path, *, columns: int) -> None:
    white = np.full_like(images[0], 255)
    chosen = np.stack([white if cell is None else images[cell] for cell in cells])
    magnification = max(1, IMAGE_PIXELS // images.shape[-1])
    large = torch.kron((dequantise(chosen) + 1) / 2, torch.ones(magnification, magnification))
    file.parent.mkdir(parents=True, exist_ok=True)
    save_image(large, file, nrow=columns, padding=2, pad_value=1.0)
