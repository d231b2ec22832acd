"""The real images with which generated images are compared."""

from lzn.data import ImageArray, ImageSubset, random_subset


def random_real_images(images: ImageArray, count: int, *, seed: int) -> ImageArray:
    """Return ``count`` random images, the same for all runs (C.3); all images if there are no more."""
    if count >= len(images):
        return images
    return ImageSubset(images, random_subset(len(images), count, seed=seed).numpy())
