"""Writing a split as shards: their content, the images that are left out, and the shards that a second call keeps."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from lzn_testing.data.image_files import ListSource, encode, noise
from PIL import Image

from lzn.base.files import file_sha256
from lzn.data import DecodedImages, EncodedShards, PixelShards
from lzn.data.decoding import array_from_image
from lzn.data.shard_files import Storage, labels_file, shard_file
from lzn.datasets import ImageSource
from lzn.preparation import Fit, OnCorrupt, UnusableImageError, WrittenSplit, write_split

FIT = Fit(kind="crop", size=8, num_channels=3)
NUM_IMAGES = 11
PHOTOS = [noise(8 + n, 20 - n, seed=n) for n in range(NUM_IMAGES)]
SOURCE = ListSource.of([encode(photo, "PNG") for photo in PHOTOS])
FITTED = np.stack([array_from_image(FIT(photo)) for photo in PHOTOS])
IMAGES_PER_SHARD = 3


def write(
    folder: Path,
    source: ImageSource = SOURCE,
    *,
    storage: Storage = "pixels",
    num_processes: int = 1,
    on_corrupt: OnCorrupt = "stop",
    on_progress: Callable[[int], object] = lambda num_images: None,
) -> WrittenSplit:
    """Write the split ``train`` into ``folder/data``, with three images per shard."""
    for name in ("data", "records"):
        (folder / name).mkdir(exist_ok=True, parents=True)
    return write_split(
        source,
        folder / "data",
        split="train",
        records=folder / "records",
        fit=FIT,
        storage=storage,
        num_processes=num_processes,
        on_corrupt=on_corrupt,
        on_progress=on_progress,
        shard_bytes=IMAGES_PER_SHARD * FITTED[0].size,
    )


def read_pixels(folder: Path, written: WrittenSplit) -> PixelShards:
    """Open the images of storage ``pixels``."""
    files = [shard_file(folder / "data", shard.name, "pixels") for shard in written.shards]
    return PixelShards(files, [shard.num_images for shard in written.shards], image_shape=FIT.image_shape)


def read_encoded(folder: Path, written: WrittenSplit) -> EncodedShards:
    """Open the images of storage ``png`` or ``original``."""
    files = [shard_file(folder / "data", shard.name, "png") for shard in written.shards]
    return EncodedShards(files, [shard.num_images for shard in written.shards], num_channels=3)


def contents(folder: Path) -> dict[str, bytes]:
    """Return the content of all files of the data set."""
    return {file.name: file.read_bytes() for file in (folder / "data").iterdir()}


def test_pixels_are_the_fitted_images_in_order(tmp_path: Path) -> None:
    written = write(tmp_path)
    assert [shard.num_images for shard in written.shards] == [3, 3, 3, 2]
    np.testing.assert_array_equal(read_pixels(tmp_path, written)[:], FITTED)
    np.testing.assert_array_equal(np.load(labels_file(tmp_path / "data", "train")), SOURCE.labels)
    assert (written.num_images, written.set_aside) == (NUM_IMAGES, ())


def test_png_files_have_exactly_the_fitted_pixels(tmp_path: Path) -> None:
    written = write(tmp_path, storage="png")
    encoded = read_encoded(tmp_path, written)
    np.testing.assert_array_equal(DecodedImages(encoded, shape=FIT.image_shape)[:], FITTED)
    assert Image.open(io.BytesIO(encoded.read(0))).format == "PNG"


def test_originals_are_the_bytes_of_the_source(tmp_path: Path) -> None:
    encoded = read_encoded(tmp_path, write(tmp_path, storage="original"))
    assert [encoded.read(n) for n in range(NUM_IMAGES)] == list(SOURCE.contents)


def test_arrays_of_a_source_are_fitted(tmp_path: Path) -> None:
    written = write(tmp_path, ListSource.of([array_from_image(photo) for photo in PHOTOS]))
    np.testing.assert_array_equal(read_pixels(tmp_path, written)[:], FITTED)


def test_arrays_cannot_be_stored_as_originals(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"image-0 is an array and not an image file.*choose storage: pixels"
    ):
        write(tmp_path, ListSource.of([array_from_image(PHOTOS[0])]), storage="original")


def test_grey_arrays_and_files_become_colour(tmp_path: Path) -> None:
    grey = noise(8, 8, channels=1)
    written = write(tmp_path, ListSource.of([array_from_image(grey), encode(grey, "PNG")]))
    expected = np.repeat(array_from_image(grey), 3, axis=0)
    np.testing.assert_array_equal(read_pixels(tmp_path, written)[:], np.stack([expected, expected]))


@pytest.mark.parametrize("storage", ["pixels", "png"])
def test_one_and_two_processes_write_the_same_files_and_count_every_image_once(
    tmp_path: Path, storage: Storage
) -> None:
    source = ListSource.of(SOURCE.contents, unreadable={4: "Input/output error"})
    alone, together = [], []
    for num_processes, counts in ((1, alone), (2, together)):
        write(
            tmp_path / str(num_processes),
            source,
            storage=storage,
            on_corrupt="set_aside",
            num_processes=num_processes,
            on_progress=counts.append,
        )
    assert contents(tmp_path / "2") == contents(tmp_path / "1")
    assert alone == [3, 3, 3, 2]
    assert sorted(together) == sorted(alone)


def test_every_file_has_its_hash(tmp_path: Path) -> None:
    written = write(tmp_path, storage="png")
    hashes = {name: sha256 for shard in written.shards for name, sha256 in shard.sha256.items()}
    hashes["train_labels.npy"] = written.labels_sha256
    assert hashes == {file.name: file_sha256(file) for file in (tmp_path / "data").iterdir()}


def test_an_empty_split_has_only_a_labels_file(tmp_path: Path) -> None:
    written = write(tmp_path, ListSource.of([]), num_processes=2)
    assert (written.shards, written.num_images) == ((), 0)
    assert list(contents(tmp_path)) == ["train_labels.npy"]
    assert read_pixels(tmp_path, written).shape == (0, 3, 8, 8)


TRUNCATED = SOURCE.contents[0][:60]
DAMAGED = ListSource.of(
    [*SOURCE.contents[:4], TRUNCATED, *SOURCE.contents[5:]], unreadable={7: "Input/output error"}
)


@pytest.mark.parametrize(
    ("storage", "num_processes"), [("pixels", 1), ("png", 1), ("original", 1), ("original", 2)]
)
def test_writing_stops_with_an_error_that_names_a_corrupt_image(
    tmp_path: Path, storage: Storage, num_processes: int
) -> None:
    # With two processes, either can find its corrupt image first.
    named = (
        r"train image 4, image-4: cannot be decoded: |train image 7, image-7: cannot be read: Input/output"
    )
    with pytest.raises(UnusableImageError, match=named):
        write(tmp_path, DAMAGED, storage=storage, num_processes=num_processes)
    assert not list(tmp_path.rglob("*.partial*"))


@pytest.mark.parametrize("storage", ["pixels", "png"])
def test_corrupt_images_and_their_labels_are_left_out(tmp_path: Path, storage: Storage) -> None:
    written = write(tmp_path, DAMAGED, storage=storage, on_corrupt="set_aside")
    good = np.delete(np.arange(NUM_IMAGES), [4, 7])
    assert [(image.index, image.name) for image in written.set_aside] == [(4, "image-4"), (7, "image-7")]
    assert written.set_aside[1].reason == "cannot be read: Input/output error"
    assert written.num_images == len(good)
    if storage == "pixels":
        images = read_pixels(tmp_path, written)[:]
    else:
        images = DecodedImages(read_encoded(tmp_path, written), shape=FIT.image_shape)[:]
    np.testing.assert_array_equal(images, FITTED[good])
    np.testing.assert_array_equal(np.load(labels_file(tmp_path / "data", "train")), SOURCE.labels[good])


@pytest.mark.parametrize("storage", ["pixels", "png"])
def test_a_shard_without_usable_images_is_not_written(tmp_path: Path, storage: Storage) -> None:
    source = ListSource.of([*SOURCE.contents[:3], b"", b"", b"", *SOURCE.contents[6:]])
    written = write(tmp_path, source, storage=storage, on_corrupt="set_aside")
    assert [shard.name for shard in written.shards] == ["train_00000", "train_00002", "train_00003"]
    assert not [name for name in contents(tmp_path) if "00001" in name]


def test_an_original_that_is_a_long_strip_is_an_error(tmp_path: Path) -> None:
    strip = ListSource.of([encode(Image.new("RGB", (1, 101)), "PNG")])
    with pytest.raises(UnusableImageError, match="1x101 pixels: one side is more than 100 times the other"):
        write(tmp_path, strip, storage="original")


class CountingSource(ListSource):
    """Counts the images that this process reads."""

    num_read = 0

    def read(self, index: int) -> bytes | np.ndarray:
        CountingSource.num_read += 1
        return super().read(index)


@pytest.fixture
def counting() -> type[CountingSource]:
    CountingSource.num_read = 0
    return CountingSource


def test_a_second_call_reads_no_image_again(tmp_path: Path, counting: type[CountingSource]) -> None:
    source = counting(SOURCE.contents, SOURCE.labels, {})
    first = write(tmp_path, source)
    assert counting.num_read == NUM_IMAGES
    assert write(tmp_path, source) == first
    assert counting.num_read == NUM_IMAGES


@pytest.mark.parametrize("damage", ["flipped", "missing"])
def test_a_changed_or_missing_shard_is_written_again(
    tmp_path: Path, counting: type[CountingSource], damage: str
) -> None:
    source = counting(SOURCE.contents, SOURCE.labels, {})
    written = write(tmp_path, source)
    before = contents(tmp_path)
    file = shard_file(tmp_path / "data", written.shards[1].name, "pixels")
    if damage == "flipped":
        file.write_bytes(before[file.name][:-1] + b"\x00")
    else:
        file.unlink()
    write(tmp_path, source)
    assert contents(tmp_path) == before
    assert counting.num_read == NUM_IMAGES + IMAGES_PER_SHARD


def test_finished_shards_are_kept_after_an_error(tmp_path: Path, counting: type[CountingSource]) -> None:
    with pytest.raises(UnusableImageError):
        write(tmp_path, DAMAGED)
    repaired = counting(SOURCE.contents, SOURCE.labels, {})
    written = write(tmp_path, repaired)
    assert counting.num_read == NUM_IMAGES - IMAGES_PER_SHARD  # image 4 is in the second shard
    np.testing.assert_array_equal(read_pixels(tmp_path, written)[:], FITTED)


def test_images_that_were_set_aside_are_an_error_in_a_later_call_with_stop(tmp_path: Path) -> None:
    write(tmp_path, DAMAGED, on_corrupt="set_aside")
    with pytest.raises(UnusableImageError, match="image-4"):
        write(tmp_path, DAMAGED, on_corrupt="stop")
