"""Sources of files and arrays, their subsets, and random splits."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lzn_testing.data.data_layouts import contents

from lzn.datasets import ArraySource, FileSource, Subset, split_at_random, stratified_split
from lzn.datasets.names import PackedNames
from rehearsal.file_formats import random_pixels, write_images


@given(st.lists(st.binary(max_size=5)))
def test_packed_names_are_returned_by_index(names: list[bytes]) -> None:
    packed = PackedNames.of(names)
    assert [packed[index] for index in range(len(packed))] == names
    assert [packed[-1 - index] for index in range(len(packed))] == names[::-1]


@pytest.mark.parametrize("index", [2, -3])
def test_an_index_out_of_range_is_an_index_error(index: int) -> None:
    with pytest.raises(IndexError):
        PackedNames.of([b"a", b"b"])[index]


def test_a_source_of_files_reads_them_byte_for_byte(tmp_path: Path) -> None:
    files = write_images(tmp_path, ["a/1.jpg", "b 2.png", "ü.webp"])
    source = FileSource(tmp_path, list(files), [1, 0, 2])
    assert contents(source) == list(files.values())
    assert source.name(0) == str(tmp_path / "a" / "1.jpg")
    assert source.labels.dtype == np.int64


def test_a_file_name_that_is_not_utf8_is_read_and_can_be_printed(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.jpg")
    (tmp_path / name).write_bytes(b"content")
    source = FileSource(tmp_path, [name], [0])
    assert source.read(0) == b"content"
    assert source.name(0).encode().endswith(rb"caf\xe9.jpg")


def test_the_error_names_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"gone\.png"):
        FileSource(tmp_path, ["gone.png"], [0]).read(0)


def test_a_pickled_source_reads_the_same_images(tmp_path: Path) -> None:
    files = write_images(tmp_path, ["1.jpg", "2.jpg"])
    source = Subset(FileSource(tmp_path, list(files), [0, 1]), [1])
    copy = pickle.loads(pickle.dumps(source))
    assert contents(copy) == [files["2.jpg"]]
    assert copy.labels.tolist() == [1]


def test_the_pickle_of_a_source_of_a_hundred_thousand_files_is_small() -> None:
    paths = [f"n01440764/n01440764_{index}.JPEG" for index in range(100_000)]
    source = FileSource(Path("root"), paths, np.zeros(len(paths)).astype(int))
    characters = sum(map(len, paths))
    # The names, two int64 per file (end and label), and a few kB for the names of Python classes.
    assert len(pickle.dumps(source)) < characters + 16 * len(paths) + 4096


def test_an_array_source_returns_pixels_and_names_of_images() -> None:
    images = random_pixels(0, (3, 1, 4, 5))
    source = ArraySource(images, [2, 0, 1], title="things (train)")
    np.testing.assert_array_equal(source.read(1), images[1])
    assert source.name(1) == "things (train), image 1"


@pytest.mark.parametrize("images", [np.zeros((2, 3, 4), np.uint8), np.zeros((2, 1, 3, 4), np.float32)])
def test_an_array_source_of_another_dtype_or_shape_is_an_error(images: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"things: images must be uint8 \(n, c, h, w\)"):
        ArraySource(images, [0, 0], title="things")


@pytest.mark.parametrize("labels", [[0], [0, -1], [0.5, 1.0], [[0, 1]]])
def test_labels_that_are_not_one_whole_number_per_image_are_an_error(
    labels: list[float], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="label"):
        FileSource(tmp_path, ["1.jpg", "2.jpg"], labels)


def test_a_subset_has_the_order_of_its_indices(tmp_path: Path) -> None:
    files = write_images(tmp_path, ["0.jpg", "1.jpg", "2.jpg"])
    part = Subset(FileSource(tmp_path, list(files), [5, 6, 7]), [2, 0])
    assert contents(part) == [files["2.jpg"], files["0.jpg"]]
    assert part.labels.tolist() == [7, 5]
    assert part.name(0).endswith("2.jpg")


@pytest.mark.parametrize("indices", [[-1], [3]])
def test_subset_indices_out_of_range_are_an_error(indices: list[int]) -> None:
    source = ArraySource(random_pixels(0, (3, 1, 2, 2)), [0, 0, 0], title="things")
    with pytest.raises(ValueError, match="between 0 and 2"):
        Subset(source, indices)


labels_and_fraction = st.tuples(
    st.lists(st.integers(0, 4), min_size=1, max_size=60),
    st.floats(0, 1, exclude_max=True),
    st.integers(0, 2**32),
)


@given(labels_and_fraction)
def test_each_image_is_in_one_split_and_each_class_has_its_share(
    case: tuple[list[int], float, int],
) -> None:
    labels, test_fraction, seed = np.array(case[0]), case[1], case[2]
    split = stratified_split(labels, test_fraction=test_fraction, seed=seed)
    assert sorted([*split.train, *split.test]) == list(range(len(labels)))
    assert (np.diff(split.train) > 0).all()
    assert (np.diff(split.test) > 0).all()
    for label in set(labels.tolist()):
        in_test, in_all = (labels[split.test] == label).sum(), (labels == label).sum()
        # Running totals are rounded twice, each time by at most 1/2; one image remains for training.
        assert abs(in_test - test_fraction * in_all) <= 1 + 1e-9
        assert in_test < in_all


def test_the_total_of_many_small_classes_is_right() -> None:
    labels = np.repeat(np.arange(50), 2)  # a fifth of 2 images, rounded per class, is 0
    assert len(stratified_split(labels, test_fraction=0.2, seed=0).test) == 20


def test_a_random_split_depends_only_on_the_seed() -> None:
    labels = np.repeat([0, 1], 50)
    first, again, other = (
        stratified_split(labels, test_fraction=0.3, seed=seed).test.tolist() for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other


def test_with_a_test_fraction_of_zero_all_images_are_for_training() -> None:
    source = ArraySource(random_pixels(0, (3, 1, 2, 2)), [0, 1, 0], title="things")
    data = split_at_random(source, num_classes=2, test_fraction=0.0, seed=0)
    assert (len(data.train), len(data.test), data.num_classes) == (3, 0, 2)


@pytest.mark.parametrize("test_fraction", [1.0, -0.1, float("nan")])
def test_a_test_fraction_out_of_range_is_an_error(test_fraction: float) -> None:
    with pytest.raises(ValueError, match="at least 0 and below 1"):
        stratified_split(np.zeros(3, np.int64), test_fraction=test_fraction, seed=0)
