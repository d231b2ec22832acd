"""LSUN's bedrooms: lmdb databases as they are distributed, or folders of images."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from lzn_testing.data.data_layouts import contents, encoded_image, write_images, write_lmdb

from lzn.datasets import LmdbSource, MissingDataError, open_lsun_bedroom

# LSUN's keys are SHA-1 sums, its values WebP files.
TRAIN = {f"{index:040x}": encoded_image(index, "WEBP") for index in (7, 3, 11)}
VAL = {f"{index:040x}": encoded_image(index, "WEBP") for index in (5, 4)}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_lmdb(tmp_path / "bedroom_train_lmdb", TRAIN)
    write_lmdb(tmp_path / "bedroom_val_lmdb", VAL)
    return tmp_path


def test_the_databases_values_come_in_the_order_of_their_keys(root: Path) -> None:
    data = open_lsun_bedroom(root)
    assert contents(data.train) == [TRAIN[key] for key in sorted(TRAIN)]
    assert contents(data.test) == [VAL[key] for key in sorted(VAL)]
    assert (data.train.labels.tolist(), data.num_classes) == ([0, 0, 0], 1)
    assert data.train.name(0) == f"{root / 'bedroom_train_lmdb'}: {3:040x}"


def test_a_database_may_be_opened_twice_in_a_process(root: Path) -> None:
    first, second = open_lsun_bedroom(root), open_lsun_bedroom(root)
    assert contents(first.train) == contents(second.train)


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_other_processes_open_the_database_for_themselves(root: Path, method: str) -> None:
    source = open_lsun_bedroom(root).train
    here = contents(source)
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as pool:
        assert list(pool.map(contents, [source] * 2)) == [here] * 2
    assert contents(source) == here


def test_a_database_without_write_permission_is_read(root: Path) -> None:
    (root / "bedroom_train_lmdb" / "lock.mdb").unlink()
    (root / "bedroom_train_lmdb").chmod(0o500)
    assert len(open_lsun_bedroom(root).train) == 3
    assert not (root / "bedroom_train_lmdb" / "lock.mdb").exists()


def test_a_key_that_is_gone_is_an_os_error_with_its_name(root: Path) -> None:
    source = open_lsun_bedroom(root).train
    assert isinstance(source, LmdbSource)
    missing_key = LmdbSource(source.folder, type(source.keys).of([b"gone"]), [0])
    with pytest.raises(OSError, match=r"bedroom_train_lmdb: gone: the key is not in the database"):
        missing_key.read(0)


def test_the_root_may_be_the_database_itself(root: Path) -> None:
    data = open_lsun_bedroom(root / "bedroom_train_lmdb")
    assert (len(data.train), len(data.test)) == (3, 0)


def test_folders_of_images_do_as_well(tmp_path: Path) -> None:
    # The export of LSUN's own tool: subfolders by the first characters of the key.
    train = write_images(tmp_path / "bedroom_train", ["0/0/0/0/0/a/00000a.webp", "1/0/0/0/0/b/10000b.webp"])
    write_images(tmp_path / "bedroom_val", ["c.webp"])
    data = open_lsun_bedroom(tmp_path)
    assert contents(data.train) == list(train.values())
    assert len(data.test) == 1
    assert contents(open_lsun_bedroom(tmp_path / "bedroom_train").train) == list(train.values())


def test_validation_images_are_not_taken_for_training(tmp_path: Path) -> None:
    write_images(tmp_path / "bedroom_val", ["c.webp"])
    with pytest.raises(MissingDataError, match=r"bedroom_train_lmdb\.zip from http://dl\.yf\.io"):
        open_lsun_bedroom(tmp_path)


@pytest.mark.parametrize("spoil", [b"junk" * 5000, b""])
def test_a_damaged_database_says_so(tmp_path: Path, spoil: bytes) -> None:
    folder = tmp_path / "bedroom_train_lmdb"
    folder.mkdir()
    (folder / "data.mdb").write_bytes(spoil)
    with pytest.raises(ValueError, match="cannot be read as an LMDB database"):
        open_lsun_bedroom(tmp_path)
    assert [file.name for file in folder.iterdir()] == ["data.mdb"]
