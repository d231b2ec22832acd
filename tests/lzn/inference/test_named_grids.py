"""Names below the images of a grid."""

import numpy as np
import pytest

from lzn.inference.images import TEXT_HEIGHT, make_grid, text_image

SIDE = 48  # images of 8 pixels are magnified
GAP = 2


def test_names_are_below_their_images_and_change_none() -> None:
    images = np.full((5, 1, 8, 8), 200, dtype=np.uint8)
    plain, named = make_grid(images), make_grid(images, names=["cat", "dog", "", "Überraschung", "8"])
    assert named.shape == (1, plain.shape[1] + 2 * TEXT_HEIGHT, plain.shape[2])
    for index in range(5):
        top = index // 3 * (SIDE + TEXT_HEIGHT + GAP) + GAP
        left = index % 3 * (SIDE + GAP) + GAP
        cell = named[0, top : top + SIDE + TEXT_HEIGHT, left : left + SIDE]
        assert np.all(cell[:SIDE] == 200)
        assert (cell[SIDE:].min() < 100) == (index != 2), "there is text below each image with a name"


@pytest.mark.parametrize("width", [10, 48, 200])
def test_a_long_name_is_cut_to_its_width(width: int) -> None:
    line = text_image("a very long name of a class\nwith two lines", width=width)
    assert line.shape == (TEXT_HEIGHT, width)
    assert line.min() < 100
    if width < 200:
        shorter = text_image("a very long name of another kind", width=width)
        np.testing.assert_array_equal(line, shorter)


def test_a_colour_grid_has_names_in_black() -> None:
    grid = make_grid(np.full((1, 3, 8, 8), 255, dtype=np.uint8), names=["cat"])
    assert np.all(grid[0] == grid[1])
    assert grid.min() < 100
