"""The split of scikit-learn's digits."""

import numpy as np
import pytest
import sklearn.datasets
from numpy.typing import NDArray

from lzn.datasets import ImageSource, RawDataSet, open_digits


@pytest.fixture(scope="module")
def digits() -> RawDataSet:
    return open_digits(test_fraction=0.2, seed=0)


def as_rows(source: ImageSource) -> list[tuple[bytes, int]]:
    return [(bytes(source.read(index)), int(label)) for index, label in enumerate(source.labels)]


def grey_levels() -> NDArray[np.uint8]:
    # Level n becomes n * 255 / 16, rounded; ties (level 8: 127.5) go to the even number 128.
    return np.array([round(level * 255 / 16) for level in range(17)], dtype=np.uint8)


def test_the_two_splits_together_are_the_1797_images_with_their_labels(digits: RawDataSet) -> None:
    pixels, labels = sklearn.datasets.load_digits(return_X_y=True)
    images = grey_levels()[pixels.astype(int)].reshape(-1, 1, 8, 8)
    whole = [(image.tobytes(), int(label)) for image, label in zip(images, labels, strict=True)]
    assert sorted(as_rows(digits.train) + as_rows(digits.test)) == sorted(whole)
    assert digits.num_classes == 10


def test_an_image_is_an_array_of_pixels(digits: RawDataSet) -> None:
    image = digits.train.read(0)
    assert isinstance(image, np.ndarray)
    assert image.dtype == np.uint8
    assert image.shape == (1, 8, 8)


def test_a_fifth_of_the_images_is_for_testing(digits: RawDataSet) -> None:
    assert (len(digits.train), len(digits.test)) == (1437, 360)


def test_every_class_has_the_same_share_of_test_images(digits: RawDataSet) -> None:
    of_test = np.bincount(digits.test.labels, minlength=10)
    of_all = of_test + np.bincount(digits.train.labels, minlength=10)
    # The split is stratified: a class's number of test images is its share, rounded up or down.
    assert np.abs(of_test - 0.2 * of_all).max() < 1


def test_the_split_depends_only_on_the_seed(digits: RawDataSet) -> None:
    again = open_digits(test_fraction=0.2, seed=0)
    other = open_digits(test_fraction=0.2, seed=1)
    assert as_rows(again.train) == as_rows(digits.train)
    assert as_rows(again.test) == as_rows(digits.test)
    assert as_rows(other.test) != as_rows(digits.test)


@pytest.mark.parametrize("test_fraction", [0.0, 1.0, -0.1, float("nan")])
def test_a_fraction_that_leaves_a_split_empty_is_an_error(test_fraction: float) -> None:
    with pytest.raises(ValueError, match="strictly between 0 and 1"):
        open_digits(test_fraction=test_fraction, seed=0)
