"""A change of the files of a data set is noticed by names, sizes and times."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lzn.preparation.data_sets import CIFAR10Data, DigitsData, FashionMNISTData, FolderData
from lzn.preparation.source_files import read_fingerprint, take_fingerprint, write_fingerprint
from rehearsal.file_formats import write_files

FILES = {"a/1.jpg": b"one", "a/2.jpg": b"two", "b/3.jpg": b"three", "4.jpg": b"four"}


def replace_content(root: Path) -> None:
    (root / "a/1.jpg").write_bytes(b"uno")
    os.utime(root / "a/1.jpg", ns=(1, 1))


CHANGES: dict[str, Callable[[Path], object]] = {
    "deleted": lambda root: (root / "a/2.jpg").unlink(),
    "added": lambda root: (root / "b/5.jpg").write_bytes(b"x"),
    "another size": lambda root: (root / "4.jpg").write_bytes(b"longer"),
    "another time": replace_content,
    "renamed": lambda root: (root / "a/1.jpg").rename(root / "a/9.jpg"),
    "moved to another class": lambda root: (root / "a/1.jpg").rename(root / "b/1.jpg"),
    "renamed class": lambda root: (root / "b").rename(root / "c"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_gives_another_fingerprint(change: str, tmp_path: Path) -> None:
    write_files(tmp_path, FILES)
    before = take_fingerprint([tmp_path])
    assert before is not None
    assert (before.num_files, before.num_bytes) == (4, 15)
    CHANGES[change](tmp_path)
    assert take_fingerprint([tmp_path]) != before


def test_unchanged_files_have_the_same_fingerprint(tmp_path: Path) -> None:
    write_files(tmp_path, FILES)
    before = take_fingerprint([tmp_path])
    write_files(tmp_path, {".DS_Store": b"x", "a/.hidden": b"x"})
    assert take_fingerprint([tmp_path]) == before
    assert before is not None
    write_fingerprint(tmp_path / ".state/x.json", before)
    assert read_fingerprint(tmp_path / ".state/x.json") == before


def test_links_are_followed_and_loops_end(tmp_path: Path) -> None:
    write_files(tmp_path / "elsewhere", {"1.jpg": b"one"})
    (tmp_path / "root").mkdir()
    (tmp_path / "root/linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "root/loop").symlink_to(tmp_path / "root")
    (tmp_path / "root/broken").symlink_to("nowhere")
    before = take_fingerprint([tmp_path / "root"])
    assert before is not None
    assert before.num_files == 1
    (tmp_path / "elsewhere/2.jpg").write_bytes(b"two")
    assert take_fingerprint([tmp_path / "root"]) != before


def test_a_missing_folder_has_no_fingerprint(tmp_path: Path) -> None:
    assert take_fingerprint([tmp_path / "nowhere"]) is None
    assert read_fingerprint(tmp_path / "nowhere.json") is None


def test_data_sets_watch_what_they_read(tmp_path: Path) -> None:
    root = str(tmp_path)
    assert DigitsData(kind="digits", test_fraction=0.2, seed=0).watched == []
    folder = FolderData(kind="folder", root=root, image_size=8, test_fraction=0.0, seed=0)
    assert folder.watched == [tmp_path]
    assert tmp_path / "cifar-10-python.tar.gz" in CIFAR10Data(kind="cifar10", root=root).watched
    assert (
        tmp_path / "train-images-idx3-ubyte.gz" in FashionMNISTData(kind="fashion_mnist", root=root).watched
    )
    assert tmp_path not in CIFAR10Data(kind="cifar10", root=root).watched  # others may lie beside it
