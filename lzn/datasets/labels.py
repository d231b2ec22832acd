"""The labels of a source: conversion and checks."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def as_labels(labels: ArrayLike, num_images: int) -> NDArray[np.int64]:
    """Return ``labels`` as int64 (num_images,).

    Raises:
        ValueError: ``labels`` does not hold one whole number >= 0 per image.
    """
    array = np.asarray(labels)
    if array.shape != (num_images,):
        raise ValueError(
            f"labels must hold one label for each of {num_images} images, got shape {array.shape}"
        )
    if num_images and (not np.issubdtype(array.dtype, np.integer) or array.min() < 0):
        raise ValueError(
            f"labels must be whole numbers >= 0, got {array.dtype} with the minimum {array.min()}"
        )
    return array.astype(np.int64)


def no_classes(num_images: int) -> NDArray[np.int64]:
    """Return the labels of images without classes: zeros, int64 (num_images,)."""
    return np.zeros(num_images, dtype=np.int64)
