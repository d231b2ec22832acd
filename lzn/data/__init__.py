"""Images: one uniform form, batches in a reproducible order, and two-view augmentations."""

from lzn.data.augmentations import AffineViews, random_flips
from lzn.data.batches import batch_indices, random_subset, steps_per_epoch
from lzn.data.images import DataSet, ImageSet, dequantise, quantise

__all__ = [
    "AffineViews",
    "DataSet",
    "ImageSet",
    "batch_indices",
    "dequantise",
    "quantise",
    "random_flips",
    "random_subset",
    "steps_per_epoch",
]
