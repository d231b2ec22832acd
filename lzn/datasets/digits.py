"""Handwritten digits: 1797 real 8x8 images of ten classes that scikit-learn ships."""

import numpy as np
import sklearn.datasets
from sklearn.model_selection import train_test_split

from lzn.data.images import DataSet, ImageSet


def load_digits(*, test_fraction: float, seed: int) -> DataSet:
    """Split the digits with the classes in equal shares, and spread their 17 grey levels over 0..255.

    Raises:
        ValueError: ``test_fraction`` is not strictly between 0 and 1.
    """
    if not 0.0 < test_fraction < 1.0:
        raise ValueError(f"test_fraction must lie strictly between 0 and 1, got {test_fraction}")
    pixels, labels = sklearn.datasets.load_digits(return_X_y=True)
    levels = np.rint(pixels * (255.0 / 16.0)).astype(np.uint8).reshape(-1, 1, 8, 8)
    train, test = train_test_split(
        np.arange(len(labels)), test_size=test_fraction, random_state=seed, stratify=labels
    )
    labels = labels.astype(np.int64)
    return DataSet(
        train=ImageSet(levels[train], labels[train]),
        test=ImageSet(levels[test], labels[test]),
        num_classes=10,
    )
