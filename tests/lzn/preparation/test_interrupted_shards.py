"""A shard whose source fails midway, or for which the disk is too small, leaves the files of the shard before it."""

import resource
from pathlib import Path

import pytest
from lzn_testing.data.image_files import ListSource, encode, noise

from lzn.data.shard_files import Storage
from lzn.preparation import Fit, UnusableImageError
from lzn.preparation.shard_writing import ShardWriter

FILES = [encode(noise(16, 16, seed=n), "PNG") for n in range(3)]
OTHER_FILES = [encode(noise(16, 16, seed=n), "PNG") for n in range(3, 6)]


def writer(
    folder: Path, storage: Storage, files: list[bytes], *, unreadable: dict[int, str] | None = None
) -> ShardWriter:
    for name in ("data", "records"):
        (folder / name).mkdir(exist_ok=True)
    return ShardWriter(
        source=ListSource.of(files, unreadable=unreadable),
        split="train",
        folder=folder / "data",
        records=folder / "records",
        fit=Fit(kind="crop", size=16, num_channels=3),
        storage=storage,
        on_corrupt="stop",
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (folder / "data").iterdir()}


@pytest.fixture(params=["pixels", "png", "original"])
def storage(request: pytest.FixtureRequest) -> Storage:
    found: Storage = request.param
    return found


def finished_shard(folder: Path, storage: Storage) -> dict[str, bytes]:
    """Write a shard, remove its record as if the settings had changed, and return the files."""
    writer(folder, storage, FILES).write(0, range(3))
    (folder / "records" / "train_00000.json").unlink()
    return contents(folder)


def test_a_source_that_fails_midway_leaves_the_files(tmp_path: Path, storage: Storage) -> None:
    before = finished_shard(tmp_path, storage)
    with pytest.raises(UnusableImageError, match="disk failure"):
        writer(tmp_path, storage, OTHER_FILES, unreadable={1: "disk failure"}).write(0, range(3))
    assert contents(tmp_path) == before
    assert list((tmp_path / "records").iterdir()) == []


def test_a_full_disk_leaves_the_files(tmp_path: Path, storage: Storage) -> None:
    before = finished_shard(tmp_path, storage)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))  # less than one image
    try:
        with pytest.raises(OSError, match=r"File too large|requested and"):
            writer(tmp_path, storage, OTHER_FILES).write(0, range(3))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert contents(tmp_path) == before
    assert list((tmp_path / "records").iterdir()) == []


def test_a_shard_has_its_record_only_if_its_files_are_whole(tmp_path: Path, storage: Storage) -> None:
    """A process that dies after the files and before the record writes the shard again."""
    record = writer(tmp_path, storage, FILES).write(0, range(3))
    assert (tmp_path / "records" / "train_00000.json").exists()
    assert record.shard is not None
    for name in record.shard.sha256:
        before = (tmp_path / "data" / name).read_bytes()
        (tmp_path / "data" / name).write_bytes(before[:-1])
        assert writer(tmp_path, storage, FILES).write(0, range(3)) == record
        assert (tmp_path / "data" / name).read_bytes() == before
