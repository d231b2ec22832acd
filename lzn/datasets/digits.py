"""The handwritten digits of scikit-learn: 1797 8x8 grey images of ten classes."""

import numpy as np

from lzn.base.extras import from_extra
from lzn.datasets.array_source import ArraySource
from lzn.datasets.source import RawDataSet


def open_digits(*, test_fraction: float, seed: int) -> RawDataSet:
    """Split the digits at random, stratified by class, and scale their 17 grey levels to 0..255.

    Raises:
        ValueError: ``test_fraction`` is not strictly between 0 and 1.
    """
    # Import here: scikit-learn takes seconds, and every process that reads images imports this package.
    with from_extra("images"):
        import sklearn.datasets  # noqa: PLC0415
        import sklearn.model_selection  # noqa: PLC0415

    if not 0.0 < test_fraction < 1.0:
        raise ValueError(f"test_fraction must lie strictly between 0 and 1, got {test_fraction}")
    pixels, labels = sklearn.datasets.load_digits(return_X_y=True)
    levels = np.rint(pixels * (255.0 / 16.0)).astype(np.uint8).reshape(-1, 1, 8, 8)
    train, test = sklearn.model_selection.train_test_split(
        np.arange(len(labels)), test_size=test_fraction, random_state=seed, stratify=labels
    )
    return RawDataSet(
        train=ArraySource(levels[train], labels[train], title="digits (train)"),
        test=ArraySource(levels[test], labels[test], title="digits (test)"),
        num_classes=10,
        class_names=tuple(map(str, range(10))),
    )
