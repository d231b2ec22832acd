"""Labels of a source, in the form that all sources give them."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def as_labels(labels: ArrayLike, num_images: int) -> NDArray[np.int64]:
    """Return ``labels`` as int64 (num_images,).

    Raises:
        ValueError: there is not one whole number >= 0 for each image.
    """
    array = np.asarray(labels)
    if array.shape != (num_images,):
        raise ValueError(f"there must be one label for each of {num_images} images, got shape {array.shape}")
    if num_images and (not np.issubdtype(array.dtype, np.integer) or array.min() < 0):
        raise ValueError(f"labels must be whole numbers from 0 on, got {array.dtype}, least {array.min()}")
    return array.astype(np.int64)


def no_classes(num_images: int) -> NDArray[np.int64]:
    """Return the labels of images without classes: zeros, int64 (num_images,)."""
    return np.zeros(num_images, dtype=np.int64)
