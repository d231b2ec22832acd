"""Bringing a data set's images into the uniform form on disk: once, in parallel, so that it can be restarted."""

from lzn.preparation.fingerprint import source_fingerprint
from lzn.preparation.fit import Fit, FitKind
from lzn.preparation.shard_writing import OnCorrupt, SetAside, UnusableImageError
from lzn.preparation.split_writing import WrittenSplit, write_split

__all__ = [
    "Fit",
    "FitKind",
    "OnCorrupt",
    "SetAside",
    "UnusableImageError",
    "WrittenSplit",
    "source_fingerprint",
    "write_split",
]
