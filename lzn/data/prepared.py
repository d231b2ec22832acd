"""The uniform form of a data set on disk: shards of images, labels, and a description with their hashes."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter, ValidationError

from lzn.base.files import write_json
from lzn.base.sections import ParamsError
from lzn.data import DecodedImages, EncodedShards, ImageArray, ImageSet, PixelShards, ResizeAndCrop
from lzn.data.shard_files import Shard, Storage, labels_file, shard_file

SPLITS = ("train", "test")


@dataclass(frozen=True)
class SplitFiles:
    """The files of one split.

    Attributes:
        shards: in the order of their images.
        labels_sha256: hash of the file of labels.
    """

    shards: tuple[Shard, ...]
    labels_sha256: str

    @property
    def num_images(self) -> int:
        """Number of images of all shards."""
        return sum(shard.num_images for shard in self.shards)


@dataclass(frozen=True)
class DataDescription:
    """What ``dataset.json`` says.

    Attributes:
        name: the data set's name in params.yaml.
        num_classes: 1 where there are no classes.
        image_shape: (channels, height, width) of the images as arrays.
        storage: how images are stored.
        shorter_side: with storage ``original``, what an image's shorter side is resized to before the centre is cut
            out as its array; None with the others.
        num_train: number of training images.
        num_test: number of test images, possibly 0.
        sha256: hash of all that is above except the name, and of all files.
        files: each split's.
    """

    name: str
    num_classes: int
    image_shape: tuple[int, int, int]
    storage: Storage
    shorter_side: int | None
    num_train: int
    num_test: int
    sha256: str
    files: Mapping[str, SplitFiles]

    @staticmethod
    def of(
        name: str,
        *,
        num_classes: int,
        image_shape: tuple[int, int, int],
        storage: Storage,
        shorter_side: int | None,
        files: Mapping[str, SplitFiles],
    ) -> "DataDescription":
        """The description of what was written, with the hash of all."""
        content = [
            num_classes,
            image_shape,
            storage,
            shorter_side,
            *(_hashes(files[split]) for split in SPLITS),
        ]
        return DataDescription(
            name=name,
            num_classes=num_classes,
            image_shape=image_shape,
            storage=storage,
            shorter_side=shorter_side,
            num_train=files["train"].num_images,
            num_test=files["test"].num_images,
            sha256=hashlib.sha256(json.dumps(content).encode()).hexdigest(),
            files=files,
        )


def _hashes(split: SplitFiles) -> list[object]:
    return [split.labels_sha256, *(sorted(shard.sha256.items()) for shard in split.shards)]


_DESCRIPTION = TypeAdapter(DataDescription)


def write_description(folder: Path, description: DataDescription) -> None:
    """Write ``dataset.json``."""
    write_json(folder / "dataset.json", _DESCRIPTION.dump_python(description, mode="json"))


def read_description(folder: Path) -> DataDescription:
    """The description of a data set.

    Raises:
        ParamsError: there is none, or it has another form than this version's.
    """
    file = folder / "dataset.json"
    try:
        return _DESCRIPTION.validate_json(file.read_bytes())
    except FileNotFoundError as error:
        raise ParamsError(
            f"{file}: the data set {folder.name} is not prepared; run its stage prepare"
        ) from error
    except ValidationError as error:
        raise ParamsError(f"{file} was written by another version; run the stage prepare again") from error


def read_split(folder: Path, split: str) -> ImageSet:
    """One split; its images stay on disk until they are indexed.

    Raises:
        ParamsError: as `read_description`.
    """
    description = read_description(folder)
    images = _open_images(folder, description, description.files[split].shards)
    return ImageSet(images, np.load(labels_file(folder, split)))


def _open_images(folder: Path, description: DataDescription, shards: Sequence[Shard]) -> ImageArray:
    files = [shard_file(folder, shard.name, description.storage) for shard in shards]
    counts = [shard.num_images for shard in shards]
    shape = description.image_shape
    if description.storage == "pixels":
        return PixelShards(files, counts, image_shape=shape)
    encoded = EncodedShards(files, counts, num_channels=shape[0])
    if description.shorter_side is None:
        return DecodedImages(encoded, shape=shape)
    view = ResizeAndCrop(shorter_side=description.shorter_side, size=shape[1])
    return DecodedImages(encoded, transform=view, shape=shape)
