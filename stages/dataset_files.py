"""The uniform form of a data set on disk: memory-mappable arrays, and a description with their hash."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from lzn.data import DataSet, ImageSet

SPLITS = ("train", "test")


@dataclass(frozen=True)
class DataDescription:
    """What ``dataset.json`` says."""

    name: str
    num_classes: int
    image_shape: tuple[int, int, int]
    num_train: int
    num_test: int
    sha256: str


def write_data_set(folder: Path, name: str, data: DataSet) -> DataDescription:
    """Write both splits and their description into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    for split in SPLITS:
        images: ImageSet = getattr(data, split)
        for kind, array in (("images", images.images), ("labels", images.labels)):
            contiguous = np.ascontiguousarray(array)
            np.save(folder / f"{split}_{kind}.npy", contiguous)
            digest.update(f"{contiguous.dtype}{contiguous.shape}".encode() + contiguous.tobytes())
    _, channels, height, width = data.train.images.shape
    description = DataDescription(
        name=name,
        num_classes=data.num_classes,
        image_shape=(channels, height, width),
        num_train=len(data.train),
        num_test=len(data.test),
        sha256=digest.hexdigest(),
    )
    write_json(folder / "dataset.json", asdict(description))
    return description


def read_split(folder: Path, split: str) -> ImageSet:
    """One split, its images memory-mapped."""
    images = np.load(folder / f"{split}_images.npy", mmap_mode="r")
    return ImageSet(images, np.load(folder / f"{split}_labels.npy"))


def read_description(folder: Path) -> DataDescription:
    """The description of a data set."""
    content = json.loads((folder / "dataset.json").read_text())
    return DataDescription(**{**content, "image_shape": tuple(content["image_shape"])})


def write_json(file: Path, content: object) -> None:
    """JSON that is the same for the same content, and readable in a diff."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")
