"""Fashion-MNIST: 70 000 28x28 grey images of ten kinds of clothes, in IDX files."""

from pathlib import Path

from lzn.datasets.array_source import ArraySource
from lzn.datasets.idx_files import read_idx
from lzn.datasets.missing_data import missing_data_error
from lzn.datasets.source import RawDataSet

URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"
CLASS_NAMES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
NUM_CLASSES = len(CLASS_NAMES)
_IMAGES = "images-idx3-ubyte"
_LABELS = "labels-idx1-ubyte"
_FILES = tuple(f"{split}-{kind}" for split in ("train", "t10k") for kind in (_IMAGES, _LABELS))


SOURCE_NAMES = (*_FILES, *(f"{name}.gz" for name in _FILES), "FashionMNIST/raw", "raw")
"""Names in ``root`` that `open_fashion_mnist` may read."""


def open_fashion_mnist(root: Path) -> RawDataSet:
    """Read Fashion-MNIST's four files, gzipped or not.

    They are in ``root`` (Debian's package ``dataset-fashion-mnist``: /usr/share/datasets/fashion-mnist) or in
    ``root/FashionMNIST/raw``, the folder of torchvision.

    Raises:
        MissingDataError: one of the files is missing.
        ValueError: a file is damaged, or images and labels do not match.
    """
    for folder in (root, root / "FashionMNIST" / "raw", root / "raw"):
        found = [_find(folder, name) for name in _FILES]
        files = [file for file in found if file is not None]
        if len(files) == len(_FILES):
            train, test = _read(files[0], files[1], "train"), _read(files[2], files[3], "test")
            return RawDataSet(train, test, NUM_CLASSES, CLASS_NAMES)
    raise missing_data_error(
        "Fashion-MNIST",
        root,
        expected=", ".join(_FILES) + ", each gzipped (.gz) or not",
        download=f"the four files {URL}/{_FILES[0]}.gz, ... "
        "(on Debian and Ubuntu: apt-get install dataset-fashion-mnist)",
        then=f"put them into {root} (the package puts them into /usr/share/datasets/fashion-mnist)",
    )


def _find(folder: Path, name: str) -> Path | None:
    return next((file for file in (folder / name, folder / f"{name}.gz") if file.is_file()), None)


def _read(images_file: Path, labels_file: Path, split: str) -> ArraySource:
    images, labels = read_idx(images_file), read_idx(labels_file)
    if images.ndim != 3 or labels.shape != images.shape[:1] or (labels >= NUM_CLASSES).any():
        raise ValueError(
            f"{images_file} {images.shape} and {labels_file} {labels.shape} do not match: there must be "
            "one label from 0 to 9 for each image (n, height, width)"
        )
    return ArraySource(images[:, None], labels, title=f"Fashion-MNIST ({split})")
