"""Images: one uniform form, batches in a reproducible order, and two-view augmentations."""

from lzn.data.affine_views import AffineViews
from lzn.data.batches import batch_indices, random_subset, steps_per_epoch
from lzn.data.decoding import CorruptImageError, ResizeAndCrop, decode_image
from lzn.data.flips import random_flips
from lzn.data.images import ChosenImages, ImageArray, ImageSet, dequantise, quantise
from lzn.data.loading import ImageLoadingError, LoadedBatch, SampleViews, load_batches
from lzn.data.shards import DecodedImages, EncodedShards, PixelShards, open_image
from lzn.data.simclr_views import SimCLRCrops, SimCLRDistortions, SimCLRViews

__all__ = [
    "AffineViews",
    "ChosenImages",
    "CorruptImageError",
    "DecodedImages",
    "EncodedShards",
    "ImageArray",
    "ImageLoadingError",
    "ImageSet",
    "LoadedBatch",
    "PixelShards",
    "ResizeAndCrop",
    "SampleViews",
    "SimCLRCrops",
    "SimCLRDistortions",
    "SimCLRViews",
    "batch_indices",
    "decode_image",
    "dequantise",
    "load_batches",
    "open_image",
    "quantise",
    "random_flips",
    "random_subset",
    "steps_per_epoch",
]
