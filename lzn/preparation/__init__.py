"""Preparation of a data set: convert its images once, in parallel, to the form that `lzn.data.prepared` reads.

Read in this order:

1. `data_sets`: the section ``data`` of params.yaml; opens a data set with `lzn.datasets`. Import it by its own name.
2. `fit`: conversion of an image to the data set's size and channels.
3. `image_forms`: one image of a source as pixels, PNG file or original file; uses `fit`.
4. `shard_writing`: one shard of images, written atomically; uses `image_forms`.
5. `split_writing`: `write_split` writes all shards of a split with worker processes; uses `shard_writing`.
6. `fingerprint`: identifies the source of an interrupted preparation. `source_files`: notices that files have changed.
"""

from lzn.preparation.fingerprint import source_fingerprint
from lzn.preparation.fit import Fit, FitKind, Resize
from lzn.preparation.shard_writing import OnCorrupt, SetAside, UnusableImageError
from lzn.preparation.split_writing import WrittenSplit, write_split

__all__ = [
    "Fit",
    "FitKind",
    "OnCorrupt",
    "Resize",
    "SetAside",
    "UnusableImageError",
    "WrittenSplit",
    "source_fingerprint",
    "write_split",
]
