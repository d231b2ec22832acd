"""The split of scikit-learn's digits."""

import numpy as np
import pytest
import sklearn.datasets

from lzn.data import DataSet, ImageSet
from lzn.datasets import load_digits


@pytest.fixture(scope="module")
def digits() -> DataSet:
    return load_digits(test_fraction=0.2, seed=0)


def as_rows(images: ImageSet) -> list[tuple[bytes, int]]:
    return [(image.tobytes(), int(label)) for image, label in zip(images.images, images.labels, strict=True)]


def test_the_two_splits_are_the_1797_images_each_once_with_its_label(digits: DataSet) -> None:
    pixels, labels = sklearn.datasets.load_digits(return_X_y=True)
    # 16 is 255 and steps are equal, so multiples of 255/16 rounded; ties (level 8: 127.5) go to even, 128.
    levels = np.array([round(level * 255 / 16) for level in range(17)], dtype=np.uint8)
    whole = ImageSet(levels[pixels.astype(int)].reshape(-1, 1, 8, 8), labels.astype(np.int64))
    assert sorted(as_rows(digits.train) + as_rows(digits.test)) == sorted(as_rows(whole))
    assert digits.num_classes == 10


def test_a_fifth_is_for_testing(digits: DataSet) -> None:
    assert (len(digits.train), len(digits.test)) == (1437, 360)


def test_every_class_has_its_share_of_the_test_images(digits: DataSet) -> None:
    of_test = np.bincount(digits.test.labels, minlength=10)
    of_all = of_test + np.bincount(digits.train.labels, minlength=10)
    # Stratified: what a class's share lacks to a whole image is all that may be missing.
    assert np.abs(of_test - 0.2 * of_all).max() < 1


def test_the_seed_alone_decides_the_split(digits: DataSet) -> None:
    again = load_digits(test_fraction=0.2, seed=0)
    other = load_digits(test_fraction=0.2, seed=1)
    np.testing.assert_array_equal(again.train.images, digits.train.images)
    np.testing.assert_array_equal(again.test.labels, digits.test.labels)
    assert as_rows(other.test) != as_rows(digits.test)


@pytest.mark.parametrize("test_fraction", [0.0, 1.0, -0.1, float("nan")])
def test_a_fraction_that_leaves_a_split_empty_is_refused(test_fraction: float) -> None:
    with pytest.raises(ValueError, match="strictly between 0 and 1"):
        load_digits(test_fraction=test_fraction, seed=0)
