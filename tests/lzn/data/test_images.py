"""Conversion between pixel values and [-1, 1], and the errors of `ImageSet`."""

import numpy as np
import pytest
import torch

from lzn.data import ImageSet, dequantise, quantise

ALL_LEVELS = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)


def test_every_pixel_value_converted_to_float_and_back_is_the_same() -> None:
    np.testing.assert_array_equal(quantise(dequantise(ALL_LEVELS)), ALL_LEVELS)


def test_black_and_white_are_exactly_minus_one_and_one() -> None:
    images = dequantise(ALL_LEVELS)
    assert images.dtype == torch.float32
    assert (images.min().item(), images.max().item()) == (-1.0, 1.0)


def test_a_tensor_converts_to_the_same_numbers_as_an_array() -> None:
    assert torch.equal(dequantise(torch.from_numpy(ALL_LEVELS)), dequantise(ALL_LEVELS))


def test_values_outside_the_range_are_clipped() -> None:
    images = torch.tensor([-7.0, -1.01, 1.01, 7.0]).view(4, 1, 1, 1)
    np.testing.assert_array_equal(quantise(images).ravel(), [0, 0, 255, 255])


def test_values_between_levels_are_rounded_to_the_nearest() -> None:
    near_levels_10_and_11 = torch.tensor([10.4, 10.6]).view(2, 1, 1, 1) / 127.5 - 1
    np.testing.assert_array_equal(quantise(near_levels_10_and_11).ravel(), [10, 11])


def test_conversion_does_not_change_its_input() -> None:
    levels = ALL_LEVELS.copy()
    dequantise(torch.from_numpy(levels))
    images = dequantise(levels).requires_grad_()
    before = images.detach().clone()
    quantise(images)
    np.testing.assert_array_equal(levels, ALL_LEVELS)
    assert torch.equal(images.detach(), before)


@pytest.mark.parametrize(
    ("images", "labels", "complaint"),
    [
        (np.zeros((2, 1, 4, 4), np.float32), np.zeros(2, np.int64), "images must be uint8"),
        (np.zeros((2, 4, 4), np.uint8), np.zeros(2, np.int64), r"\(n, c, h, w\), got uint8 \(2, 4, 4\)"),
        (np.zeros((2, 1, 4, 4), np.uint8), np.zeros(2, np.int32), r"labels must be int64 \(2,\), got int32"),
        (np.zeros((2, 1, 4, 4), np.uint8), np.zeros(3, np.int64), r"int64 \(2,\), got int64 \(3,\)"),
    ],
)
def test_the_error_of_an_image_set_names_the_wrong_dtype_or_shape(
    images: np.ndarray, labels: np.ndarray, complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        ImageSet(images, labels)
