"""CIFAR10: 60 000 32x32 colour images of ten classes, in either of the forms that its authors distribute."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lzn.datasets.array_source import ArraySource
from lzn.datasets.missing import missing
from lzn.datasets.pickled_arrays import load_pickled_arrays
from lzn.datasets.source import MissingDataError, RawDataSet
from lzn.datasets.tar_archive import read_gzipped_members

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
TRAIN_BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))
TEST_BATCH = "test_batch"
NUM_CLASSES = 10
PIXELS = 3 * 32 * 32  # bytes an image: three planes, red, green, blue


@dataclass(frozen=True)
class _Batch:
    """Images uint8 (n, 3, 32, 32) and labels int64 (n,) of one file."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]


def _decode_pickle(content: bytes, title: str) -> _Batch:
    entries = load_pickled_arrays(content, title=title)
    data, labels = entries.get("data"), entries.get("labels")
    if not isinstance(data, np.ndarray) or data.ndim != 2 or data.shape[1] != PIXELS:
        raise ValueError(f"{title}: 'data' must be an array (n, {PIXELS}) of CIFAR10's images")
    if not isinstance(labels, list) or len(labels) != len(data):
        raise ValueError(f"{title}: 'labels' must be a list with one label for each of {len(data)} images")
    return _Batch(data.reshape(-1, 3, 32, 32), np.array(labels, dtype=np.int64))


def _decode_binary(content: bytes, title: str) -> _Batch:
    record = 1 + PIXELS  # the label, then the pixels
    if not content or len(content) % record:
        raise ValueError(f"{title}: {len(content)} bytes are no whole number of records of {record} bytes")
    records = np.frombuffer(content, dtype=np.uint8).reshape(-1, record)
    return _Batch(records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0].astype(np.int64))


@dataclass(frozen=True)
class _Form:
    """One of the two forms: the archive, the folder in it, the suffix of the files, and what reads a file."""

    archive: str
    folder: str
    suffix: str
    decode: Callable[[bytes, str], _Batch]

    @property
    def files(self) -> tuple[str, ...]:
        return tuple(batch + self.suffix for batch in (*TRAIN_BATCHES, TEST_BATCH))


_FORMS = (
    _Form("cifar-10-python.tar.gz", "cifar-10-batches-py", "", _decode_pickle),
    _Form("cifar-10-binary.tar.gz", "cifar-10-batches-bin", ".bin", _decode_binary),
)


def open_cifar10(root: Path) -> RawDataSet:
    """Read CIFAR10 from ``root``.

    Found are the folder ``cifar-10-batches-py`` (or its content in ``root`` itself), the archive
    ``cifar-10-python.tar.gz``, and the same for the binary version.

    Raises:
        MissingDataError: neither is there, or a batch is missing.
        ValueError: a file is damaged.
    """
    for form in _FORMS:
        contents = _read_form(form, root)
        if contents is not None:
            train = [form.decode(contents[name], f"{root}: {name}") for name in form.files[:-1]]
            test = form.decode(contents[form.files[-1]], f"{root}: {form.files[-1]}")
            return RawDataSet(_join(train, "train"), _join([test], "test"), NUM_CLASSES)
    raise missing(
        "CIFAR10",
        root,
        wanted=" or ".join(f"{form.archive} or the folder {form.folder}" for form in _FORMS),
        download=f"cifar-10-python.tar.gz from {URL}",
        put=f"put it into {root}; it need not be unpacked",
    )


def _read_form(form: _Form, root: Path) -> Mapping[str, bytes] | None:
    """Return the content of each file, by name; None if the form is not there."""
    for folder in (root / form.folder, root):
        if (folder / form.files[0]).is_file():
            present = [name for name in form.files if (folder / name).is_file()]
            return _complete(form, folder, {name: (folder / name).read_bytes() for name in present})
    archive = root / form.archive
    if not archive.is_file():
        return None
    paths = {f"{form.folder}/{name}": name for name in form.files}
    members = read_gzipped_members(archive, paths)
    return _complete(form, archive, {paths[path]: content for path, content in members.items()})


def _complete(form: _Form, place: Path, contents: Mapping[str, bytes]) -> Mapping[str, bytes]:
    lacking = [name for name in form.files if name not in contents]
    if lacking:
        raise MissingDataError(
            f"{place} lacks {', '.join(lacking)}; download {form.archive} again from {URL}"
        )
    return contents


def _join(batches: Sequence[_Batch], split: str) -> ArraySource:
    images = np.concatenate([batch.images for batch in batches])
    labels = np.concatenate([batch.labels for batch in batches])
    if labels.max() >= NUM_CLASSES:
        raise ValueError(f"CIFAR10 ({split}): a label is {labels.max()}; there are ten classes, from 0 on")
    return ArraySource(images, labels, title=f"CIFAR10 ({split})")
