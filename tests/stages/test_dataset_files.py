"""A data set's uniform form on disk."""

import json
from pathlib import Path

import numpy as np
import pytest

from lzn.data import DataSet, ImageSet
from stages.dataset_files import read_description, read_split, write_data_set, write_json


def data_set(seed: int = 0) -> DataSet:
    generator = np.random.default_rng(seed)

    def split(num: int) -> ImageSet:
        images = generator.integers(0, 256, (num, 3, 4, 5), dtype=np.uint8)
        return ImageSet(images, generator.integers(0, 7, num))

    return DataSet(train=split(11), test=split(4), num_classes=7)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    data = data_set()
    write_data_set(tmp_path, "squares", data)
    for name, split in (("train", data.train), ("test", data.test)):
        read = read_split(tmp_path, name)
        np.testing.assert_array_equal(read.images, split.images)
        np.testing.assert_array_equal(read.labels, split.labels)


def test_images_are_memory_mapped_and_read_only(tmp_path: Path) -> None:
    write_data_set(tmp_path, "squares", data_set())
    images = read_split(tmp_path, "train").images
    assert isinstance(images, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        images[0] = 0


def test_the_description_says_what_is_there(tmp_path: Path) -> None:
    description = write_data_set(tmp_path / "new" / "folder", "squares", data_set())
    assert read_description(tmp_path / "new" / "folder") == description
    assert (description.name, description.num_classes) == ("squares", 7)
    assert (description.num_train, description.num_test, description.image_shape) == (11, 4, (3, 4, 5))


def changed_pixel(data: DataSet) -> DataSet:
    data.test.images[3, 2, 3, 4] ^= 1
    return data


def changed_label(data: DataSet) -> DataSet:
    data.train.labels[0] = (data.train.labels[0] + 1) % 7
    return data


def swapped_splits(data: DataSet) -> DataSet:
    return DataSet(train=data.test, test=data.train, num_classes=7)


def other_shape(data: DataSet) -> DataSet:
    """The same bytes."""
    train = ImageSet(data.train.images.reshape(11, 3, 5, 4), data.train.labels)
    test = ImageSet(data.test.images.reshape(4, 3, 5, 4), data.test.labels)
    return DataSet(train=train, test=test, num_classes=7)


def test_equal_data_have_equal_hashes_and_files(tmp_path: Path) -> None:
    descriptions = [write_data_set(tmp_path / folder, "squares", data_set()) for folder in ("a", "b")]
    assert descriptions[0] == descriptions[1]
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


def test_the_order_of_an_array_in_memory_does_not_matter(tmp_path: Path) -> None:
    plain = data_set()
    fortran = DataSet(
        train=ImageSet(np.asfortranarray(plain.train.images), plain.train.labels),
        test=plain.test,
        num_classes=7,
    )
    hashes = [write_data_set(tmp_path / str(i), "x", data).sha256 for i, data in enumerate((plain, fortran))]
    assert hashes[0] == hashes[1]


@pytest.mark.parametrize("change", [changed_pixel, changed_label, swapped_splits, other_shape])
def test_every_change_of_the_data_changes_the_hash(tmp_path: Path, change: object) -> None:
    assert callable(change)
    before = write_data_set(tmp_path / "a", "squares", data_set()).sha256
    assert write_data_set(tmp_path / "b", "squares", change(data_set())).sha256 != before


def test_json_is_the_same_whatever_the_order_of_keys(tmp_path: Path) -> None:
    write_json(tmp_path / "new" / "a.json", {"b": [1, 2.5], "a": None})
    write_json(tmp_path / "new" / "b.json", {"a": None, "b": [1, 2.5]})
    text = (tmp_path / "new" / "a.json").read_text()
    assert text == (tmp_path / "new" / "b.json").read_text()
    assert text.endswith("\n")
    assert json.loads(text) == {"a": None, "b": [1, 2.5]}
