"""Prepared data sets on disk: reading returns what was written, and the hash identifies the data set."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from lzn_testing.data.image_files import ListSource, encode, noise

from lzn.base.files import write_json
from lzn.base.sections import ParamsError
from lzn.data import ResizeAndCrop, open_image
from lzn.data.decoding import DecodingRules
from lzn.data.prepared import (
    SPLITS,
    DataDescription,
    SplitFiles,
    read_description,
    read_split,
    write_description,
)
from lzn.data.shard_files import Storage
from lzn.preparation import Fit, write_split

PHOTOS = {"train": [noise(20 + n, 30, seed=n) for n in range(5)], "test": [noise(30, 20, seed=9)]}


def write(
    folder: Path, *, storage: Storage = "pixels", size: int = 16, name: str = "photos"
) -> DataDescription:
    """Write a data set of five training images and one test image, in shards of two."""
    folder.mkdir(parents=True)
    records = folder.with_name(f"{folder.name}_records")
    records.mkdir()
    fit = Fit(kind="crop", size=size, num_channels=3)
    files = {}
    for split in SPLITS:
        written = write_split(
            ListSource.of([encode(photo, "PNG") for photo in PHOTOS[split]]),
            folder,
            split=split,
            records=records,
            fit=fit,
            storage=storage,
            num_processes=1,
            on_corrupt="stop",
            on_progress=lambda num_images: None,
            shard_bytes=2 * 3 * size * size,
        )
        files[split] = SplitFiles(written.shards, written.labels_sha256)
    description = DataDescription.of(
        name,
        num_classes=3,
        image_shape=fit.image_shape,
        storage=storage,
        shorter_side=18 if storage == "original" else None,
        files=files,
    )
    write_description(folder, description)
    return description


@pytest.mark.parametrize("storage", ["pixels", "png", "original"])
def test_a_description_read_from_disk_equals_the_written_one(tmp_path: Path, storage: Storage) -> None:
    description = write(tmp_path / "photos", storage=storage)
    assert read_description(tmp_path / "photos") == description
    assert (description.num_train, description.num_test, description.image_shape) == (5, 1, (3, 16, 16))
    assert [shard.num_images for shard in description.files["train"].shards] == [2, 2, 1]


@pytest.mark.parametrize("storage", ["pixels", "png"])
@pytest.mark.parametrize("split", SPLITS)
def test_a_split_holds_the_fitted_images_and_their_labels(
    tmp_path: Path, storage: Storage, split: str
) -> None:
    write(tmp_path / "photos", storage=storage)
    data = read_split(tmp_path / "photos", split)
    fit = Fit(kind="crop", size=16, num_channels=3)
    expected = np.stack([np.asarray(fit(photo)).transpose(2, 0, 1) for photo in PHOTOS[split]])
    np.testing.assert_array_equal(data.images[:], expected)
    np.testing.assert_array_equal(data.labels, np.arange(len(expected)) % 3)


def test_originals_open_at_full_size_and_their_array_is_the_evaluation_transform(tmp_path: Path) -> None:
    write(tmp_path / "photos", storage="original")
    images = read_split(tmp_path / "photos", "train").images
    assert open_image(images, 3).size == (23, 30)
    view = ResizeAndCrop(shorter_side=18, size=16)
    np.testing.assert_array_equal(images[3:5], np.stack([view(photo) for photo in PHOTOS["train"][3:]]))


def test_the_same_images_have_the_same_hash_in_every_folder(tmp_path: Path) -> None:
    first, second = (write(tmp_path / folder) for folder in ("a", "b"))
    assert first == second
    assert len(first.sha256) == 64
    assert write(tmp_path / "c", name="other").sha256 == first.sha256


def test_storage_and_size_are_part_of_the_hash(tmp_path: Path) -> None:
    hashes = {
        write(tmp_path / f"{storage}_{size}", storage=storage, size=size).sha256
        for storage in ("pixels", "png", "original")
        for size in (16, 17)
    }
    assert len(hashes) == 6


def test_every_file_and_every_setting_is_part_of_the_hash(tmp_path: Path) -> None:
    description = write(tmp_path / "photos")
    train, test = description.files["train"], description.files["test"]
    changed_shard = replace(train.shards[1], sha256={"train_00001.npy": 64 * "0"})
    changes = [
        {"files": {"train": test, "test": train}},
        {"files": {"train": replace(train, labels_sha256=64 * "0"), "test": test}},
        {
            "files": {
                "train": replace(train, shards=(train.shards[0], changed_shard, train.shards[2])),
                "test": test,
            }
        },
        {"files": {"train": replace(train, shards=train.shards[::-1]), "test": test}},
        {"num_classes": 4},
        {"image_shape": (1, 16, 16)},
        {"shorter_side": 20},
        {"decoding": DecodingRules(bit_depth=12)},
    ]
    same = {
        "num_classes": 3,
        "image_shape": (3, 16, 16),
        "storage": "pixels",
        "shorter_side": None,
        "files": description.files,
    }
    assert DataDescription.of("photos", **same).sha256 == description.sha256
    hashes = {DataDescription.of("photos", **{**same, **change}).sha256 for change in changes}
    assert len(hashes | {description.sha256}) == 1 + len(changes)


def test_the_error_of_a_data_set_that_is_not_prepared_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r"the data set photos is not prepared; run its stage prepare"):
        read_description(tmp_path / "photos")


def test_the_error_of_a_description_of_another_version_says_what_to_do(tmp_path: Path) -> None:
    write(tmp_path / "photos")
    content = json.loads((tmp_path / "photos/dataset.json").read_text())
    del content["files"]
    write_json(tmp_path / "photos/dataset.json", content)
    with pytest.raises(
        ParamsError, match="written by another version of the code; run the stage prepare again"
    ):
        read_split(tmp_path / "photos", "train")
