"""A prepared data set on disk: shards of images, labels, and ``dataset.json``, a description with their hashes."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter, ValidationError

from lzn.base.files import write_json
from lzn.base.sections import ParamsError
from lzn.data import DecodedImages, EncodedShards, ImageArray, ImageSet, PixelShards, ResizeAndCrop
from lzn.data.decoding import STRICT, DecodingRules
from lzn.data.shard_files import Shard, Storage, labels_file, shard_file

SPLITS = ("train", "test")


@dataclass(frozen=True)
class SplitFiles:
    """The files of one split.

    Attributes:
        shards: the shards in the order of their images.
        labels_sha256: hash of the labels file.
    """

    shards: tuple[Shard, ...]
    labels_sha256: str

    @property
    def num_images(self) -> int:
        """Number of images in all shards."""
        return sum(shard.num_images for shard in self.shards)


@dataclass(frozen=True)
class DataDescription:
    """The content of ``dataset.json``.

    Attributes:
        name: the data set's name in params.yaml.
        num_classes: number of classes; 1 without classes.
        class_names: the name of each class in the order of the labels; empty without classes.
        image_shape: (channels, height, width) of the images as arrays.
        storage: how the images are stored.
        shorter_side: with storage ``original``, length in pixels to which the shorter side is resized before the
            centre is cropped to ``image_shape``; None with other storages.
        num_train: number of training images.
        num_test: number of test images; may be 0.
        sha256: hash of ``num_classes``, ``image_shape``, ``storage``, ``shorter_side``, all files, and
            ``decoding`` if it is not the default.
        files: the files of each split.
        decoding: how the image files are decoded, or were decoded by the stage ``prepare``.
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
    class_names: tuple[str, ...] = ()
    decoding: DecodingRules = STRICT

    @staticmethod
    def of(
        name: str,
        *,
        num_classes: int,
        image_shape: tuple[int, int, int],
        storage: Storage,
        shorter_side: int | None,
        files: Mapping[str, SplitFiles],
        class_names: tuple[str, ...] = (),
        decoding: DecodingRules = STRICT,
    ) -> "DataDescription":
        """Build a description and compute its hash."""
        content = [
            num_classes,
            image_shape,
            storage,
            shorter_side,
            *(_hashes(files[split]) for split in SPLITS),
            *([] if decoding == STRICT else [asdict(decoding)]),
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
            class_names=class_names,
            decoding=decoding,
        )


def _hashes(split: SplitFiles) -> list[object]:
    return [split.labels_sha256, *(sorted(shard.sha256.items()) for shard in split.shards)]


_DESCRIPTION = TypeAdapter(DataDescription)


def write_description(folder: Path, description: DataDescription) -> None:
    """Write ``dataset.json`` into ``folder``; the default ``decoding`` is left out."""
    content = _DESCRIPTION.dump_python(description, mode="json")
    if description.decoding == STRICT:
        del content["decoding"]
    write_json(folder / "dataset.json", content)


def read_description(folder: Path) -> DataDescription:
    """Read ``dataset.json`` of a prepared data set.

    Raises:
        ParamsError: the file is missing, or another version of the code wrote it.
    """
    file = folder / "dataset.json"
    try:
        return _DESCRIPTION.validate_json(file.read_bytes())
    except FileNotFoundError as error:
        raise ParamsError(
            f"{file} is missing: the data set {folder.name} is not prepared; run its stage prepare"
        ) from error
    except ValidationError as error:
        raise ParamsError(
            f"{file} was written by another version of the code; run the stage prepare again"
        ) from error


def read_split(folder: Path, split: str) -> ImageSet:
    """Open one split; its images stay on disk until they are indexed.

    Raises:
        ParamsError: see `read_description`.
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
    encoded = EncodedShards(files, counts, num_channels=shape[0], decoding=description.decoding)
    if description.shorter_side is None:
        return DecodedImages(encoded, shape=shape)
    view = ResizeAndCrop(shorter_side=description.shorter_side, size=shape[1])
    return DecodedImages(encoded, transform=view, shape=shape)
