"""LSUN-Bedroom: 3 033 042 training and 300 validation images, 256 pixels on the shorter side."""

from collections import Counter
from pathlib import Path

from lzn.datasets.file_source import FileSource
from lzn.datasets.image_files import FoundSource, scan_images
from lzn.datasets.labels import no_classes
from lzn.datasets.lmdb_source import LmdbSource, list_keys
from lzn.datasets.missing_data import missing_data_error
from lzn.datasets.source import RawDataSet

URL = "http://dl.yf.io/lsun/scenes/bedroom_train_lmdb.zip"


def open_lsun_bedroom(root: Path) -> RawDataSet:
    """Find LSUN-Bedroom in the database ``root/bedroom_train_lmdb`` or the folder ``root/bedroom_train``.

    ``root`` can also be the database or the folder of images itself. The test images are ``bedroom_val_lmdb`` or
    ``bedroom_val`` and are optional. The images have no classes.

    Raises:
        MissingDataError: there are no training images.
        ValueError: a database is damaged.
    """
    train = _find_split(root, "train")
    if train is None:
        train = _open_place(root)
    if train is None or len(train.source) == 0:
        raise missing_data_error(
            "LSUN-Bedroom",
            root,
            expected="bedroom_train_lmdb/data.mdb, or images in bedroom_train/ or in this folder",
            download=f"bedroom_train_lmdb.zip from {URL}, or with https://github.com/fyu/lsun",
            then=f"unpack it in {root} so that {root / 'bedroom_train_lmdb' / 'data.mdb'} exists",
        )
    test = _find_split(root, "val")
    if test is None:
        test = FoundSource(FileSource(root, [], []))
    left_out = Counter(train.left_out) + Counter(test.left_out)
    return RawDataSet(train.source, test.source, num_classes=1, left_out=left_out)


def _find_split(root: Path, split: str) -> FoundSource | None:
    for name in (f"bedroom_{split}_lmdb", f"bedroom_{split}"):
        if (root / name).is_dir():
            return _open_place(root / name)
    return None


def _open_place(folder: Path) -> FoundSource | None:
    """Open a database or a folder of images; None if it is neither, or contains the validation images."""
    if (folder / "data.mdb").is_file():
        keys = list_keys(folder)
        return FoundSource(LmdbSource(folder, keys, no_classes(len(keys))))
    if not folder.is_dir() or (folder / "bedroom_val").exists() or (folder / "bedroom_val_lmdb").exists():
        return None
    found = scan_images(folder)
    return FoundSource(FileSource(folder, found.paths, no_classes(len(found.paths))), found.left_out)
