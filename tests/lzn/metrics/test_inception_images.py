"""Preparation of images for Inception: the same as in clean-fid and TensorFlow 1."""

import numpy as np
import pytest
import torch
from cleanfid.resize import build_resizer
from lzn_testing.data.block_images import random_block_images
from torch.testing import assert_close

from lzn.metrics.inception import Preprocessing, prepare_images


def tensorflow_resize_matrix(num_in: int) -> np.ndarray:
    """Return the matrix (299, num_in) of TensorFlow 1's ResizeBilinear along one axis, computed as in its kernel."""
    matrix = np.zeros((299, num_in))
    scale = np.float32(num_in) / np.float32(299)
    for i in range(299):
        position = np.float32(i) * scale
        low = int(np.floor(position))
        high = min(low + 1, num_in - 1)
        fraction = float(position - np.float32(low))
        matrix[i, low] += 1 - fraction
        matrix[i, high] += fraction
    return matrix


@pytest.mark.parametrize("size", [(8, 8), (32, 32), (64, 48), (299, 299), (512, 400)])
def test_clean_images_equal_those_of_clean_fid(size: tuple[int, int]):
    image = random_block_images(5, 1, 3, *size)[0]
    image[:, ::3, ::2], image[:, 1::3, 1::2] = (
        0,
        255,
    )  # overshoots of the bicubic filter, which must be clipped
    resized = build_resizer("clean")(image.permute(1, 2, 0).numpy())
    prepared = prepare_images(image[None], "clean")[0].permute(1, 2, 0) * 128 + 128
    # Levels up to 255, with three float32 roundings of 1.5e-5.
    np.testing.assert_allclose(prepared, resized, rtol=0, atol=5e-5)


@pytest.mark.parametrize("preprocessing", ["cm", "rf"])
@pytest.mark.parametrize("size", [(8, 8), (32, 32), (64, 48), (512, 400)])
def test_cm_and_rf_images_are_resized_as_in_tensorflow_1(preprocessing: Preprocessing, size: tuple[int, int]):
    image = random_block_images(6, 1, 3, *size)
    rows, columns = (tensorflow_resize_matrix(length) for length in size)
    resized = rows @ image[0].double().numpy() @ columns.T
    middle = 128 if preprocessing == "cm" else 127.5
    prepared = prepare_images(image, preprocessing)[0] * middle + middle
    # Levels up to 255 in float32, with a rounding of 6e-8 in each of a dozen operations.
    np.testing.assert_allclose(prepared, resized, rtol=0, atol=2e-4)


@pytest.mark.parametrize(
    ("preprocessing", "black", "white"),
    [("cm", -1, 127 / 128), ("rf", -1, 1), ("clean", -1, 127 / 128)],
)
def test_black_and_white_images_become_the_ends_of_the_input_range(
    preprocessing: Preprocessing, black: float, white: float
):
    for level, expected in ((0, black), (255, white)):
        prepared = prepare_images(torch.full((1, 3, 20, 30), level, dtype=torch.uint8), preprocessing)
        # One or two float32 roundings.
        assert_close(prepared, torch.full((1, 3, 299, 299), float(expected)), rtol=0, atol=1e-6)
