"""Fashion-MNIST's IDX files, gzipped as in Debian's package, or raw as torchvision unpacks them."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from lzn_testing.data.data_layouts import contents, idx_of
from torchvision.datasets.mnist import read_image_file, read_label_file

from lzn.datasets import MissingDataError, open_fashion_mnist
from lzn.datasets.idx_files import read_idx
from rehearsal.file_formats import random_pixels, write_files

IMAGES = {"train": random_pixels(0, (6, 28, 28)), "t10k": random_pixels(1, (3, 28, 28))}
LABELS = {"train": np.array([9, 0, 0, 3, 1, 2], np.uint8), "t10k": np.array([4, 5, 6], np.uint8)}


def raw_files() -> dict[str, bytes]:
    images = {f"{split}-images-idx3-ubyte": idx_of(array) for split, array in IMAGES.items()}
    return images | {f"{split}-labels-idx1-ubyte": idx_of(array) for split, array in LABELS.items()}


def gzipped_files() -> dict[str, bytes]:
    return {f"{name}.gz": gzip.compress(content) for name, content in raw_files().items()}


@pytest.mark.parametrize(("folder", "files"), [("", gzipped_files()), ("FashionMNIST/raw", raw_files())])
def test_the_four_files_are_read_from_the_folders_of_debian_and_torchvision(
    folder: str, files: dict[str, bytes], tmp_path: Path
) -> None:
    write_files(tmp_path / folder, files)
    data = open_fashion_mnist(tmp_path)
    for source, split in ((data.train, "train"), (data.test, "t10k")):
        assert contents(source) == [image.tobytes() for image in IMAGES[split]]
        assert source.labels.tolist() == LABELS[split].tolist()
    first = data.train.read(0)
    assert isinstance(first, np.ndarray)
    assert (first.shape, data.num_classes) == ((1, 28, 28), 10)


def test_idx_files_are_read_as_by_torchvision(tmp_path: Path) -> None:
    write_files(tmp_path, raw_files())
    for kind, read in (("images-idx3", read_image_file), ("labels-idx1", read_label_file)):
        file = tmp_path / f"train-{kind}-ubyte"
        np.testing.assert_array_equal(read_idx(file), read(str(file)).numpy())


def test_the_error_for_a_missing_file_says_what_to_download_and_where_to_put_it(tmp_path: Path) -> None:
    files = gzipped_files()
    del files["t10k-labels-idx1-ubyte.gz"]
    write_files(tmp_path, files)
    with pytest.raises(MissingDataError) as caught:
        open_fashion_mnist(tmp_path)
    message = str(caught.value)
    assert "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com" in message
    assert "apt-get install dataset-fashion-mnist" in message
    assert f"put them into {tmp_path}" in message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an IDX file of bytes"),
        (b"\0\0\x0d\x03" + bytes(12), "not an IDX file of bytes"),  # 0x0d: float32
        (b"\0\0\x08\x03" + bytes(4), "damaged or truncated"),
        (raw_files()["t10k-images-idx3-ubyte"][:-1], "2351 bytes follow its header instead of 2352"),
        (raw_files()["t10k-images-idx3-ubyte"] + b"\0", "damaged or truncated"),
    ],
)
def test_a_damaged_idx_file_is_an_error(content: bytes, message: str, tmp_path: Path) -> None:
    file = tmp_path / "images"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_idx(file)


def test_a_damaged_gzip_file_is_an_error(tmp_path: Path) -> None:
    whole = gzipped_files()["train-images-idx3-ubyte.gz"]
    for content in (whole[:-30], b"junk", whole[:30] + bytes(20) + whole[50:]):
        file = tmp_path / "images.gz"
        file.write_bytes(content)
        with pytest.raises(ValueError, match=r"images\.gz is damaged or truncated"):
            read_idx(file)


@pytest.mark.parametrize("labels", [np.zeros(5, np.uint8), np.full(6, 10, np.uint8)])
def test_labels_that_do_not_match_the_images_are_an_error(labels: np.ndarray, tmp_path: Path) -> None:
    write_files(tmp_path, raw_files() | {"train-labels-idx1-ubyte": idx_of(labels)})
    with pytest.raises(ValueError, match="do not match"):
        open_fashion_mnist(tmp_path)
