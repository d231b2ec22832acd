"""Grids of sampled images: the position of each image."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stages.sampling.grids import save_columns, save_grid

SIDE = 48 + 2  # an image, magnified to 48 pixels, and the gap


def flat_images(levels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return images of 8x8 pixels, each of one grey level."""
    return np.broadcast_to(levels[:, None, None, None], (len(levels), 1, 8, 8)).copy()


def levels_in(file: Path) -> NDArray[np.uint8]:
    """Return the grey level in the middle of every cell of a grid."""
    pixels = np.asarray(Image.open(file).convert("L"))
    return pixels[SIDE // 2 :: SIDE, SIDE // 2 :: SIDE]


def test_without_classes_images_are_in_order_ten_per_row(tmp_path: Path) -> None:
    save_grid(flat_images(np.arange(130, dtype=np.uint8)), None, tmp_path / "grid.png")
    np.testing.assert_array_equal(levels_in(tmp_path / "grid.png"), np.arange(100).reshape(10, 10))


def test_every_class_has_five_rows_and_missing_images_are_white(tmp_path: Path) -> None:
    labels = np.array([0] * 60 + [1] * 13)
    save_grid(flat_images((100 + 50 * labels).astype(np.uint8)), labels, tmp_path / "grid.png")
    levels = levels_in(tmp_path / "grid.png")
    assert levels.shape == (5 + 2, 10)
    assert np.all(levels[:5] == 100)
    assert levels[5:].flatten().tolist() == [150] * 13 + [255] * 7


def test_each_column_is_a_class(tmp_path: Path) -> None:
    labels = np.tile(np.arange(3), 6)
    save_columns(flat_images((10 * labels).astype(np.uint8)), labels, tmp_path / "columns.png")
    np.testing.assert_array_equal(levels_in(tmp_path / "columns.png"), np.tile([0, 10, 20], (5, 1)))


def dark_pixels(file: Path, box: tuple[int, int, int, int]) -> int:
    """Return the number of dark pixels in the box (left, top, right, bottom)."""
    return int(np.count_nonzero(np.asarray(Image.open(file).convert("L").crop(box)) < 100))


def test_names_are_left_of_the_first_row_of_each_class_and_change_no_image(tmp_path: Path) -> None:
    labels = np.array([0] * 60 + [3] * 13)
    images = flat_images((200 + 10 * labels).astype(np.uint8))
    save_grid(images, labels, tmp_path / "plain.png")
    save_grid(
        images, labels, tmp_path / "named.png", ("cat", "a very long name of a class, longer than the space")
    )
    plain, named = (Image.open(tmp_path / f"{name}.png") for name in ("plain", "named"))
    space = named.width - plain.width
    np.testing.assert_array_equal(np.asarray(named)[:, space:], np.asarray(plain))
    rows = [dark_pixels(tmp_path / "named.png", (0, row * SIDE, space, (row + 1) * SIDE)) for row in range(7)]
    assert [row for row, count in enumerate(rows) if count] == [0, 5]


def test_names_are_above_the_columns(tmp_path: Path) -> None:
    labels = np.tile(np.arange(3), 6)
    images = flat_images((200 + 10 * labels).astype(np.uint8))
    save_columns(images, labels, tmp_path / "plain.png")
    save_columns(images, labels, tmp_path / "named.png", ("cat", "dog", "Überraschung"))
    plain, named = (Image.open(tmp_path / f"{name}.png") for name in ("plain", "named"))
    space = named.height - plain.height
    np.testing.assert_array_equal(np.asarray(named)[space:], np.asarray(plain))
    assert all(
        dark_pixels(tmp_path / "named.png", (column * SIDE, 0, (column + 1) * SIDE, space))
        for column in range(3)
    )
