"""LSUN-Bedroom: LMDB databases as they are distributed, or folders of images."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from lzn_testing.data.data_layouts import contents

from lzn.datasets import LmdbSource, MissingDataError, open_lsun_bedroom
from rehearsal.file_formats import encoded_image, write_images, write_lmdb

# LSUN's keys are SHA-1 sums, and its values are WebP files.
TRAIN = {f"{index:040x}": encoded_image(index, "WEBP") for index in (7, 3, 11)}
VAL = {f"{index:040x}": encoded_image(index, "WEBP") for index in (5, 4)}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_lmdb(tmp_path / "bedroom_train_lmdb", TRAIN)
    write_lmdb(tmp_path / "bedroom_val_lmdb", VAL)
    return tmp_path


def test_the_images_of_a_database_are_in_the_order_of_their_keys(root: Path) -> None:
    data = open_lsun_bedroom(root)
    assert contents(data.train) == [TRAIN[key] for key in sorted(TRAIN)]
    assert contents(data.test) == [VAL[key] for key in sorted(VAL)]
    assert (data.train.labels.tolist(), data.num_classes) == ([0, 0, 0], 1)
    assert data.train.name(0) == f"{root / 'bedroom_train_lmdb'}: {3:040x}"


def test_a_process_may_open_a_database_twice(root: Path) -> None:
    first, second = open_lsun_bedroom(root), open_lsun_bedroom(root)
    assert contents(first.train) == contents(second.train)


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_other_processes_read_the_same_images(root: Path, method: str) -> None:
    source = open_lsun_bedroom(root).train
    expected = contents(source)
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as pool:
        assert list(pool.map(contents, [source] * 2)) == [expected] * 2
    assert contents(source) == expected


def test_a_database_without_write_permission_is_read(root: Path) -> None:
    (root / "bedroom_train_lmdb" / "lock.mdb").unlink()
    (root / "bedroom_train_lmdb").chmod(0o500)
    assert len(open_lsun_bedroom(root).train) == 3
    assert not (root / "bedroom_train_lmdb" / "lock.mdb").exists()


def test_the_error_names_a_missing_key(root: Path) -> None:
    source = open_lsun_bedroom(root).train
    assert isinstance(source, LmdbSource)
    missing_key = LmdbSource(source.folder, type(source.keys).of([b"gone"]), [0])
    with pytest.raises(OSError, match=r"bedroom_train_lmdb: gone: the key is not in the database"):
        missing_key.read(0)


def test_the_root_may_be_the_database_itself(root: Path) -> None:
    data = open_lsun_bedroom(root / "bedroom_train_lmdb")
    assert (len(data.train), len(data.test)) == (3, 0)


def test_folders_of_images_are_read(tmp_path: Path) -> None:
    # LSUN's export tool makes subfolders of the first characters of the key.
    train = write_images(tmp_path / "bedroom_train", ["0/0/0/0/0/a/00000a.webp", "1/0/0/0/0/b/10000b.webp"])
    write_images(tmp_path / "bedroom_val", ["c.webp"])
    data = open_lsun_bedroom(tmp_path)
    assert contents(data.train) == list(train.values())
    assert len(data.test) == 1
    assert contents(open_lsun_bedroom(tmp_path / "bedroom_train").train) == list(train.values())


def test_validation_images_are_not_used_for_training(tmp_path: Path) -> None:
    write_images(tmp_path / "bedroom_val", ["c.webp"])
    with pytest.raises(MissingDataError, match=r"bedroom_train_lmdb\.zip from http://dl\.yf\.io"):
        open_lsun_bedroom(tmp_path)


@pytest.mark.parametrize("content", [b"junk" * 5000, b""])
def test_a_damaged_database_is_an_error(tmp_path: Path, content: bytes) -> None:
    folder = tmp_path / "bedroom_train_lmdb"
    folder.mkdir()
    (folder / "data.mdb").write_bytes(content)
    with pytest.raises(ValueError, match="cannot be read as an LMDB database"):
        open_lsun_bedroom(tmp_path)
    assert [file.name for file in folder.iterdir()] == ["data.mdb"]
