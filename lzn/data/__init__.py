"""Images in memory and on disk, batches in a reproducible order, and random views.

Read in this order:

1. `images`: `ImageSet`, the form of every split; `ImageSubset`; conversion between pixel values and [-1, 1].
2. `decoding`: image files to images and arrays.
3. `shard_files`, `shards`: images on disk in files of many images; `shards` uses `decoding`.
4. `prepared`: ``dataset.json`` and `read_split`, which opens the shards of a split. Import it by its own name.
5. `batches`: the sample indices of each training step.
6. `loading`: `load_batches` reads the samples of `batches` from an `ImageSet`, with worker processes.
7. Random views of one image or a batch: `flips`, `affine_views`, `simclr_views` (uses `random_crops`,
   `colour_and_blur`).
"""

from lzn.data.affine_views import AffineViews
from lzn.data.batches import batch_indices, random_subset, steps_per_epoch
from lzn.data.decoding import CorruptImageError, ResizeAndCrop, decode_image
from lzn.data.flips import random_flips
from lzn.data.images import ImageArray, ImageSet, ImageSubset, dequantise, quantise
from lzn.data.loading import ImageLoadingError, LoadedBatch, SampleViews, load_batches
from lzn.data.shards import DecodedImages, EncodedShards, PixelShards, open_image
from lzn.data.simclr_views import SimCLRCrops, SimCLRDistortions, SimCLRViews

__all__ = [
    "AffineViews",
    "CorruptImageError",
    "DecodedImages",
    "EncodedShards",
    "ImageArray",
    "ImageLoadingError",
    "ImageSet",
    "ImageSubset",
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
