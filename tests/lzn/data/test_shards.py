"""Images in shards on disk: they behave like one array in memory, in every process."""

import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lzn_testing.data.image_files import encode, noise
from numpy.typing import NDArray

from lzn.data import DecodedImages, EncodedShards, ImageSet, PixelShards, ResizeAndCrop, open_image
from lzn.data.decoding import array_from_image
from lzn.data.images import ImageSubset

COUNTS = (3, 1, 5, 2)
SHAPE = (3, 4, 6)
IMAGES = np.random.default_rng(0).integers(0, 256, (sum(COUNTS), *SHAPE), dtype=np.uint8)


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> PixelShards:
    folder = tmp_path_factory.mktemp("pixels")
    files = [folder / f"{number}.npy" for number in range(len(COUNTS))]
    for file, images in zip(files, np.split(IMAGES, np.cumsum(COUNTS)[:-1]), strict=True):
        np.save(file, images)
    return PixelShards(files, COUNTS, image_shape=SHAPE)


def write_encoded(folder: Path, name: str, files: list[bytes]) -> Path:
    (folder / f"{name}.bin").write_bytes(b"".join(files))
    np.save(folder / f"{name}_offsets.npy", np.cumsum([0, *map(len, files)]))
    return folder / f"{name}.bin"


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> EncodedShards:
    """Photographs of several sizes in two shards."""
    folder = tmp_path_factory.mktemp("encoded")
    photos = [encode(noise(40 + n, 60 - n, seed=n), "PNG") for n in range(5)]
    files = [write_encoded(folder, "a", photos[:2]), write_encoded(folder, "b", photos[2:])]
    return EncodedShards(files, [2, 3], num_channels=3)


def test_shape_and_dtype_are_those_of_all_images_together(shards: PixelShards) -> None:
    assert (shards.shape, shards.dtype, shards.ndim, len(shards)) == (IMAGES.shape, np.uint8, 4, len(IMAGES))


@given(
    slices=st.slices(len(IMAGES)),
    numbers=st.lists(st.integers(-len(IMAGES), len(IMAGES) - 1), max_size=30),
)
def test_slices_and_index_arrays_give_the_same_images_as_an_array(
    shards: PixelShards, slices: slice, numbers: list[int]
) -> None:
    np.testing.assert_array_equal(shards[slices], IMAGES[slices])
    index = np.array(numbers, np.int64)
    np.testing.assert_array_equal(shards[index], IMAGES[index])


def test_indexing_returns_a_copy(shards: PixelShards) -> None:
    images = shards[0:2]
    images[:] = 0
    np.testing.assert_array_equal(shards[0:2], IMAGES[0:2])


@pytest.mark.parametrize("index", [[len(IMAGES)], [-len(IMAGES) - 1], [0, 99]])
def test_an_image_that_does_not_exist_is_an_error(shards: PixelShards, index: list[int]) -> None:
    with pytest.raises(IndexError, match="does not exist: there are 11 images"):
        shards[np.array(index)]


@pytest.mark.parametrize("index", [np.array([True] * 11), np.array([0.5]), np.array([[0, 1]])])
def test_an_index_of_another_kind_is_an_error(shards: PixelShards, index: NDArray[np.int64]) -> None:
    with pytest.raises(IndexError, match="must be a slice or integers"):
        shards[index]


def test_an_image_set_may_hold_shards(shards: PixelShards) -> None:
    assert len(ImageSet(shards, np.zeros(len(IMAGES), np.int64))) == len(IMAGES)


def test_without_shards_the_array_is_empty() -> None:
    empty = PixelShards([], [], image_shape=SHAPE)
    assert (empty.shape, empty[:].shape) == ((0, *SHAPE), (0, *SHAPE))
    with pytest.raises(IndexError):
        empty[np.array([0])]


def test_a_shard_is_opened_only_when_an_image_in_it_is_read(shards: PixelShards, tmp_path: Path) -> None:
    np.save(tmp_path / "there.npy", IMAGES[:2])
    partly = PixelShards([tmp_path / "there.npy", tmp_path / "gone.npy"], [2, 2], image_shape=SHAPE)
    np.testing.assert_array_equal(partly[0:2], IMAGES[:2])
    with pytest.raises(FileNotFoundError, match=r"gone\.npy"):
        partly[2:3]


def test_the_error_names_a_file_of_another_shape(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", IMAGES[:3])
    with pytest.raises(ValueError, match=r"x\.npy holds uint8 \(3, 3, 4, 6\), not uint8 \(2, 3, 4, 6\); run"):
        PixelShards([tmp_path / "x.npy"], [2], image_shape=SHAPE)[0:1]


def test_a_shard_without_images_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="one positive number for each of 1 shards"):
        PixelShards([tmp_path / "x.npy"], [0], image_shape=SHAPE)


def test_pickled_shards_hold_file_names_and_no_pixels(tmp_path: Path) -> None:
    images = np.zeros((1000, 3, 32, 32), np.uint8)
    np.save(tmp_path / "x.npy", images)
    shards = PixelShards([tmp_path / "x.npy"], [1000], image_shape=(3, 32, 32))
    shards[0:1]  # map the file
    assert len(pickle.dumps(shards)) < 2000


def test_another_process_reads_the_same_images(shards: PixelShards, encoded: EncodedShards) -> None:
    view = DecodedImages(encoded, transform=ResizeAndCrop(shorter_side=40, size=32), shape=(3, 32, 32))
    chosen = np.array([4, 0])
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        of_process = [
            executor.submit(type(images).__getitem__, images, chosen).result() for images in (shards, view)
        ]
    for images, expected in zip(of_process, (shards[chosen], view[chosen]), strict=True):
        np.testing.assert_array_equal(images, expected)


def test_encoded_images_are_read_byte_for_byte(encoded: EncodedShards) -> None:
    assert [encoded.read(n) for n in (3, 0, -1)] == [
        encode(noise(40 + n, 60 - n, seed=n), "PNG") for n in (3, 0, 4)
    ]


def test_decoded_images_are_transformed_one_by_one(encoded: EncodedShards) -> None:
    view = ResizeAndCrop(shorter_side=40, size=32)
    images = DecodedImages(encoded, transform=view, shape=(3, 32, 32))
    assert (images.shape, images.dtype, images.ndim) == ((5, 3, 32, 32), np.uint8, 4)
    expected = np.stack([view(noise(40 + n, 60 - n, seed=n)) for n in (4, 1, 1)])
    np.testing.assert_array_equal(images[np.array([4, 1, 1])], expected)
    np.testing.assert_array_equal(images[1:5:3], expected[[1, 0]])


def test_a_transform_that_returns_another_shape_is_an_error(encoded: EncodedShards) -> None:
    images = DecodedImages(encoded, shape=(3, 32, 32))
    with pytest.raises(ValueError, match=r"image 2 has shape \(3, 58, 42\), not \(3, 32, 32\)"):
        images[2:3]


def test_offsets_that_do_not_match_the_bytes_are_an_error(tmp_path: Path) -> None:
    file = write_encoded(tmp_path, "a", [b"123", b"4567"])
    file.write_bytes(b"12345678")
    with pytest.raises(ValueError, match=r"a\.bin and its offsets do not match"):
        EncodedShards([file], [2], num_channels=3).read(0)


def test_a_stored_image_file_is_opened_without_the_transform(encoded: EncodedShards) -> None:
    images = DecodedImages(encoded, transform=ResizeAndCrop(shorter_side=40, size=32), shape=(3, 32, 32))
    assert open_image(images, 3).size == (43, 57)


@pytest.mark.parametrize("channels", [1, 3])
def test_an_image_without_a_stored_file_is_made_from_its_pixels(channels: int) -> None:
    images = IMAGES[:, :channels]
    image = open_image(images, 2)
    assert image.mode == {1: "L", 3: "RGB"}[channels]
    np.testing.assert_array_equal(array_from_image(image), images[2])


def test_an_image_of_a_subset_is_opened_from_the_whole_set(
    encoded: EncodedShards, shards: PixelShards
) -> None:
    images = DecodedImages(encoded, transform=ResizeAndCrop(shorter_side=40, size=32), shape=(3, 32, 32))
    assert open_image(ImageSubset(images, np.array([4, 2])), 1).size == (42, 58)
    chosen = open_image(ImageSubset(shards, np.array([4, 2])), 0)
    np.testing.assert_array_equal(array_from_image(chosen), IMAGES[4])
