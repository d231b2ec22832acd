"""The data sets as they are distributed, read one image at a time.

Each data set has a function ``open_*`` that returns a `RawDataSet`: two `ImageSource` and the number of classes.
Nothing is unpacked, downloaded or decoded here.

Read in this order:

1. `source`: the interfaces. `missing_data`: the error that says what to download.
2. Sources of images: `array_source` (memory), `file_source` (files), `tar_source` (uses `tar_archive`), `lmdb_source`;
   `subset` (part of a source, random splits). They use `labels` and `names`; `class_names`: the order of classes.
3. Finding and reading files: `image_files` (with `left_out`), `idx_files`, `pickled_arrays`, `imagenet_devkit`.
4. One module per data set, with its ``open_*``: `digits`, `cifar10`, `fashion_mnist`, `afhq`, `celeba_hq`, `lsun`,
   `imagenet`, `folder`. `lzn.preparation` calls them.
"""

from lzn.datasets.afhq import open_afhq
from lzn.datasets.array_source import ArraySource
from lzn.datasets.celeba_hq import open_celeba_hq
from lzn.datasets.cifar10 import open_cifar10
from lzn.datasets.digits import open_digits
from lzn.datasets.fashion_mnist import open_fashion_mnist
from lzn.datasets.file_source import FileSource
from lzn.datasets.folder import open_folder
from lzn.datasets.image_files import find_images
from lzn.datasets.imagenet import open_imagenet
from lzn.datasets.lmdb_source import LmdbSource
from lzn.datasets.lsun import open_lsun_bedroom
from lzn.datasets.missing_data import MissingDataError
from lzn.datasets.source import ImageSource, RawDataSet
from lzn.datasets.subset import Subset, split_at_random, stratified_split
from lzn.datasets.tar_source import TarSource

__all__ = [
    "ArraySource",
    "FileSource",
    "ImageSource",
    "LmdbSource",
    "MissingDataError",
    "RawDataSet",
    "Subset",
    "TarSource",
    "find_images",
    "open_afhq",
    "open_celeba_hq",
    "open_cifar10",
    "open_digits",
    "open_fashion_mnist",
    "open_folder",
    "open_imagenet",
    "open_lsun_bedroom",
    "split_at_random",
    "stratified_split",
]
