"""CIFAR10: 60 000 32x32 colour images of ten classes, in both formats of its authors (pickles and binary)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lzn.datasets.array_source import ArraySource
from lzn.datasets.missing_data import MissingDataError, missing_data_error
from lzn.datasets.pickled_arrays import load_pickled_arrays
from lzn.datasets.source import RawDataSet
from lzn.datasets.tar_archive import read_gzipped_members

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
TRAIN_BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))
TEST_BATCH = "test_batch"
CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
NUM_CLASSES = len(CLASS_NAMES)
PIXELS = 3 * 32 * 32  # bytes per image: the red, the green and the blue plane


@dataclass(frozen=True)
class _Batch:
    """Images uint8 (n, 3, 32, 32) and labels int64 (n,) of one file."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]


def _decode_pickle(content: bytes, title: str) -> _Batch:
    entries = load_pickled_arrays(content, title=title)
    data, labels = entries.get("data"), entries.get("labels")
    if not isinstance(data, np.ndarray) or data.ndim != 2 or data.shape[1] != PIXELS:
        raise ValueError(f"{title}: 'data' must be an array (n, {PIXELS}) of images")
    if not isinstance(labels, list) or len(labels) != len(data):
        raise ValueError(f"{title}: 'labels' must be a list with one label for each of {len(data)} images")
    return _Batch(data.reshape(-1, 3, 32, 32), np.array(labels, dtype=np.int64))


def _decode_binary(content: bytes, title: str) -> _Batch:
    record = 1 + PIXELS  # the label, then the pixels
    if not content or len(content) % record:
        raise ValueError(
            f"{title}: {len(content)} bytes are not a multiple of {record}, the size of a record; "
            "download it again"
        )
    records = np.frombuffer(content, dtype=np.uint8).reshape(-1, record)
    return _Batch(records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0].astype(np.int64))


@dataclass(frozen=True)
class _Layout:
    """The names of the archive, its folder and its files in one format, and the function that decodes a file."""

    archive: str
    folder: str
    suffix: str
    decode: Callable[[bytes, str], _Batch]

    @property
    def files(self) -> tuple[str, ...]:
        return tuple(batch + self.suffix for batch in (*TRAIN_BATCHES, TEST_BATCH))


_LAYOUTS = (
    _Layout("cifar-10-python.tar.gz", "cifar-10-batches-py", "", _decode_pickle),
    _Layout("cifar-10-binary.tar.gz", "cifar-10-batches-bin", ".bin", _decode_binary),
)


SOURCE_NAMES = tuple(name for layout in _LAYOUTS for name in (layout.archive, layout.folder, *layout.files))
"""Names in ``root`` that `open_cifar10` may read."""


def open_cifar10(root: Path) -> RawDataSet:
    """Read CIFAR10 from ``root``.

    It can be the folder ``cifar-10-batches-py`` (or its content in ``root`` itself), the archive
    ``cifar-10-python.tar.gz``, or the same of the binary version.

    Raises:
        MissingDataError: there is no such folder or archive, or a batch is missing.
        ValueError: a file is damaged.
    """
    for layout in _LAYOUTS:
        contents = _read_layout(layout, root)
        if contents is not None:
            train = [layout.decode(contents[name], f"{root}: {name}") for name in layout.files[:-1]]
            test = layout.decode(contents[layout.files[-1]], f"{root}: {layout.files[-1]}")
            return RawDataSet(_join(train, "train"), _join([test], "test"), NUM_CLASSES, CLASS_NAMES)
    raise missing_data_error(
        "CIFAR10",
        root,
        expected=" or ".join(f"{layout.archive} or the folder {layout.folder}" for layout in _LAYOUTS),
        download=f"cifar-10-python.tar.gz from {URL}",
        then=f"put it into {root}; do not unpack it",
    )


def _read_layout(layout: _Layout, root: Path) -> Mapping[str, bytes] | None:
    """Return the content of each file by name, or None if there are no files of this layout."""
    for folder in (root / layout.folder, root):
        if (folder / layout.files[0]).is_file():
            present = [name for name in layout.files if (folder / name).is_file()]
            return _complete(layout, folder, {name: (folder / name).read_bytes() for name in present})
    archive = root / layout.archive
    if not archive.is_file():
        return None
    paths = {f"{layout.folder}/{name}": name for name in layout.files}
    members = read_gzipped_members(archive, paths)
    return _complete(layout, archive, {paths[path]: content for path, content in members.items()})


def _complete(layout: _Layout, place: Path, contents: Mapping[str, bytes]) -> Mapping[str, bytes]:
    absent = [name for name in layout.files if name not in contents]
    if absent:
        raise MissingDataError(
            f"{place} does not contain {', '.join(absent)}; download {layout.archive} again from {URL}"
        )
    return contents


def _join(batches: Sequence[_Batch], split: str) -> ArraySource:
    images = np.concatenate([batch.images for batch in batches])
    labels = np.concatenate([batch.labels for batch in batches])
    if labels.max() >= NUM_CLASSES:
        raise ValueError(f"CIFAR10 ({split}): labels must lie between 0 and 9, got {labels.max()}")
    return ArraySource(images, labels, title=f"CIFAR10 ({split})")
