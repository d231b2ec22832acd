"""A cache of features on disk; each file is named by a hash of everything that determines its features.

The hash covers the pixels of the images, the weights of the network, the preprocessing, the code, and what determines
rounding. So all runs, seeds and stages share the features of the real images. A file holds float32 rows and is read
memory-mapped; a JSON file beside it has its size and checksum. Files that end in ``.npz`` have the mean and covariance
of features of real images, for the Frechet distance.

``python -m stages.feature_extraction.cache --max-gb 20`` deletes the least recently used files until the others fit;
``make clean`` deletes all of them.
"""

import argparse
import functools
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from numpy.typing import NDArray

from lzn.base.files import atomic_write, write_json
from lzn.data import ImageArray
from lzn.metrics import Gaussian, fit_gaussian
from stages.feature_extraction.extraction import Workers, extract_features, read_ahead
from stages.feature_extraction.extractors import FeatureExtractor
from stages.feature_extraction.resumable_features import ResumableFeatures
from stages.runtime.outputs import feature_cache
from stages.runtime.provenance import code_fingerprint

HASHED_ROWS = 256
SUFFIX = ".f32"
GAUSSIAN_SUFFIX = ".npz"

ExtractedFeatures = Mapping[str, NDArray[np.float32]]
"""Arrays (n, d) by name, memory-mapped."""


@dataclass(frozen=True)
class FeatureCache:
    """The folder of features, and the processes that compute missing ones."""

    folder: Path
    workers: Workers

    def of(self, images: ImageArray) -> "ImageFeatures":
        """Return the features of some images; this reads the images once to compute their hash."""
        return ImageFeatures(images, images_sha256(images), self)


@dataclass(frozen=True)
class ImageFeatures:
    """The features of one set of images; `by` reads or computes them."""

    images: ImageArray
    sha256: str
    cache: FeatureCache

    def by(self, extractor: FeatureExtractor) -> ExtractedFeatures:
        """Return the features of ``extractor`` in the order of the images.

        If several processes call this for the same features, one computes them and the others wait.
        """
        file = self.cache.folder / f"{_key(self.sha256, extractor, self.cache.workers)}{SUFFIX}"
        shape = (len(self.images), sum(extractor.columns.values()))
        if not _is_whole(file):
            file.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(file.with_suffix(".lock"), mode=0o666):
                if not _is_whole(file):
                    self._make(extractor, file, shape)
        os.utime(file)  # `trim` deletes the oldest
        return _columns(np.memmap(file, np.float32, mode="r", shape=shape), extractor.columns)

    def gaussian(self, extractor: FeatureExtractor, name: str) -> Gaussian:
        """Return mean and covariance of the features ``name``, from a file that all runs and stages share.

        Raises:
            ValueError: there are fewer than two images, or features are not finite.
        """
        stem = _key(self.sha256, extractor, self.cache.workers)
        file = self.cache.folder / f"{stem}-{name}{GAUSSIAN_SUFFIX}"
        file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(file.with_suffix(".lock"), mode=0o666):
            if not _is_whole(file):
                found = fit_gaussian(self.by(extractor)[name])
                with atomic_write(file) as partial:
                    np.savez(partial, mean=found.mean, covariance=found.covariance, count=found.count)
                recipe = {"images_sha256": self.sha256, "count": found.count, "features": name}
                write_json(_description(file), {"made_by": extractor.identity, **recipe, **_state(file)})
        os.utime(file)
        with np.load(file) as content:
            return Gaussian(content["mean"], content["covariance"], int(content["count"]))

    def _make(self, extractor: FeatureExtractor, file: Path, shape: tuple[int, int]) -> None:
        resumable = ResumableFeatures(file.with_suffix(".partial"), *shape, batch_size=extractor.batch_size)
        resumable.open()
        extract_features(self.images, extractor, resumable, self.cache.workers)
        with resumable.finished_file() as made:
            write_json(_description(file), {"made_by": extractor.name, "shape": shape, **_state(made)})
            made.replace(file)


def images_sha256(images: ImageArray) -> str:
    """Return the hash of the images' shape and grey levels, which does not depend on how they are stored."""
    digest = hashlib.sha256(json.dumps([*images.shape]).encode())

    def read(number: int) -> bytes:
        return np.ascontiguousarray(images[number * HASHED_ROWS : (number + 1) * HASHED_ROWS]).tobytes()

    for _, content in read_ahead(read, range(-(-len(images) // HASHED_ROWS))):
        digest.update(content)
    return digest.hexdigest()


def trim(folder: Path, *, max_bytes: int) -> list[Path]:
    """Delete the least recently used files until the others have at most ``max_bytes``; return the deleted ones.

    Unfinished features are not deleted.
    """
    files = [file for suffix in (SUFFIX, GAUSSIAN_SUFFIX) for file in folder.glob(f"[!.]*{suffix}")]
    files.sort(key=lambda file: file.stat().st_mtime)
    total = sum(file.stat().st_size for file in files)
    removed = []
    for file in files:
        if total <= max_bytes:
            break
        total -= file.stat().st_size
        for one in (file, _description(file)):  # not the lock: a process may wait for it
            one.unlink(missing_ok=True)
        removed.append(file)
    return removed


_code_fingerprint = functools.cache(code_fingerprint)  # reads dozens of files


def _key(images: str, extractor: FeatureExtractor, workers: Workers) -> str:
    # Rounding depends on the device; on CPUs also on the number of threads, which determines the order of sums.
    rounding = [torch.__version__, workers.device.type]
    rounding += [str(torch.get_num_threads())] if workers.device.type == "cpu" else []
    made_by = [
        extractor.identity,
        _code_fingerprint(extractor.code),
        extractor.batch_size,
        dict(extractor.columns),
    ]
    content = [images, *made_by, *rounding]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _description(file: Path) -> Path:
    return file.with_suffix(".json")


def _state(file: Path) -> dict[str, str | int]:
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return {"sha256": digest, "bytes": file.stat().st_size}


def _is_whole(file: Path) -> bool:
    """Return whether the file exists and has the size and checksum with which it was written."""
    if not file.is_file() or not _description(file).is_file():
        return False
    try:
        described: dict[str, object] = json.loads(_description(file).read_text())
    except ValueError:
        return False
    if file.stat().st_size != described.get("bytes"):
        return False
    return _state(file).items() <= described.items()


def _columns(features: NDArray[np.float32], columns: Mapping[str, int]) -> ExtractedFeatures:
    ends = np.cumsum(list(columns.values())).tolist()
    return {
        name: features[:, end - width : end] for (name, width), end in zip(columns.items(), ends, strict=True)
    }


def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m stages.feature_extraction.cache", description=__doc__)
    parser.add_argument("--max-gb", type=float, required=True, help="size of the files that are kept, in GB")
    arguments = parser.parse_args()
    removed = trim(feature_cache(), max_bytes=int(arguments.max_gb * 1e9))
    print(f"deleted {len(removed)} files; {shutil.disk_usage('.').free / 1e9:.0f} GB are free")


if __name__ == "__main__":
    _main()
