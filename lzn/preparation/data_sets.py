"""The ``data`` section: which data sets there are, where they lie, and in which form they are used."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from lzn.base.sections import Section
from lzn.data.shard_files import Storage
from lzn.datasets import (
    RawDataSet,
    open_afhq,
    open_celeba_hq,
    open_cifar10,
    open_digits,
    open_fashion_mnist,
    open_folder,
    open_imagenet,
    open_lsun_bedroom,
)
from lzn.preparation import Fit, FitKind, OnCorrupt

ImageSize = Annotated[int, Field(ge=1)]


class ExpectedCounts(Section):
    """Numbers of images that the source must have; null where any will do."""

    train: Annotated[int, Field(ge=1)] | None = None
    test: Annotated[int, Field(ge=0)] | None = None


class DataParams(Section, ABC):
    """What all data sets have."""

    image_size: ImageSize
    """Side of the images, in pixels."""
    fit: FitKind
    """How they get it: see `lzn.preparation.Fit`."""
    storage: Storage = "pixels"
    """How they are stored: ``pixels``, ``png`` (lossless, about a third), or ``original`` (files as they are)."""
    expected: ExpectedCounts | None = None
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    """Hash that the prepared data set must have, as its ``dataset.json`` says it."""
    on_corrupt: OnCorrupt = "stop"
    """An image that cannot be used stops the stage, or is left out and listed in ``set_aside.txt``."""

    @property
    def num_channels(self) -> int:
        """1 for grey, 3 for colour."""
        return 3

    @property
    def view_shorter_side(self) -> int | None:
        """What the shorter side is resized to when an original is shown as an array; None for other storages."""
        return None

    @abstractmethod
    def open(self) -> RawDataSet:
        """Find the data set.

        Raises:
            MissingDataError: it is not where it should be.
            ValueError: it is damaged.
            OSError: it cannot be read.
        """

    def build_fit(self) -> Fit:
        """How images get their size and channels."""
        return Fit(kind=self.fit, size=self.image_size, num_channels=self.num_channels)


class DigitsData(DataParams):
    """scikit-learn's handwritten digits, split at random with the classes in equal shares."""

    kind: Literal["digits"]
    image_size: ImageSize = 8
    fit: FitKind = "exact"
    storage: Literal["pixels", "png"] = "pixels"
    test_fraction: Annotated[float, Field(gt=0, lt=1)]
    seed: Annotated[int, Field(ge=0)]

    @property
    def num_channels(self) -> int:
        """Grey."""
        return 1

    def open(self) -> RawDataSet:
        """Split the digits."""
        return open_digits(test_fraction=self.test_fraction, seed=self.seed)


class _DataOnDisk(DataParams):
    root: str
    """The folder where it lies, seen from the project's root; ``~`` is the home folder."""

    @property
    def folder(self) -> Path:
        """The folder where it lies."""
        return Path(self.root).expanduser()


class CIFAR10Data(_DataOnDisk):
    """CIFAR10."""

    kind: Literal["cifar10"]
    image_size: ImageSize = 32
    fit: FitKind = "exact"
    storage: Literal["pixels", "png"] = "pixels"

    def open(self) -> RawDataSet:
        """Read its archive or what it unpacks to."""
        return open_cifar10(self.folder)


class FashionMNISTData(_DataOnDisk):
    """Fashion-MNIST, 28x28."""

    kind: Literal["fashion_mnist"]
    root: str = "/usr/share/datasets/fashion-mnist"
    image_size: ImageSize = 28
    fit: FitKind = "pad"
    storage: Literal["pixels", "png"] = "pixels"

    @property
    def num_channels(self) -> int:
        """Grey."""
        return 1

    def open(self) -> RawDataSet:
        """Read its four files."""
        return open_fashion_mnist(self.folder)


class _DataOfFiles(_DataOnDisk):
    """Data sets of image files, which alone can be stored as they are."""

    fit: FitKind = "crop"
    shorter_side: ImageSize | None = None
    """With storage ``original``: resized to this, the centre is what an image's array shows. Null: 8/7 of
    ``image_size``, the usual 256 for 224."""

    @property
    def view_shorter_side(self) -> int | None:
        """What the shorter side is resized to when an original is shown as an array; None for other storages."""
        if self.storage != "original":
            return None
        return self.image_size * 8 // 7 if self.shorter_side is None else self.shorter_side

    @model_validator(mode="after")
    def _is_of_originals(self) -> Self:
        if self.storage == "original" and self.fit != "crop":
            raise ValueError("storage: original keeps images as they are; its view is fit: crop")
        if self.shorter_side is not None:
            if self.storage != "original":
                raise ValueError("shorter_side is for storage: original")
            if self.shorter_side < self.image_size:
                raise ValueError(f"shorter_side must be at least image_size, {self.image_size}")
        return self


class AFHQData(_DataOfFiles):
    """One of AFHQ's animals."""

    kind: Literal["afhq"]
    animal: Literal["cat", "dog", "wild"]
    image_size: ImageSize = 256

    def open(self) -> RawDataSet:
        """Find the animal's images."""
        return open_afhq(self.folder, animals=(self.animal,))


class CelebAHQData(_DataOfFiles):
    """CelebA-HQ."""

    kind: Literal["celeba_hq"]
    image_size: ImageSize = 256

    def open(self) -> RawDataSet:
        """Find its images."""
        return open_celeba_hq(self.folder)


class LSUNBedroomData(_DataOfFiles):
    """LSUN's bedrooms."""

    kind: Literal["lsun_bedroom"]
    image_size: ImageSize = 256

    def open(self) -> RawDataSet:
        """Find its database or its images."""
        return open_lsun_bedroom(self.folder)


class ImageNetData(_DataOfFiles):
    """ImageNet of 2012; its originals are kept, since training cuts its crops out of them."""

    kind: Literal["imagenet"]
    image_size: ImageSize = 224
    storage: Storage = "original"

    def open(self) -> RawDataSet:
        """Find its archives or folders."""
        return open_imagenet(self.folder)


class FolderData(_DataOfFiles):
    """Any folder of images; its subfolders are classes."""

    kind: Literal["folder"]
    image_channels: Literal[1, 3] = 3
    test_fraction: Annotated[float, Field(ge=0, lt=1)]
    seed: Annotated[int, Field(ge=0)]

    @property
    def num_channels(self) -> int:
        """1 for grey, 3 for colour."""
        return self.image_channels

    def open(self) -> RawDataSet:
        """Find its images and split them at random."""
        return open_folder(self.folder, test_fraction=self.test_fraction, seed=self.seed)


AnyData = Annotated[
    DigitsData
    | CIFAR10Data
    | FashionMNISTData
    | AFHQData
    | CelebAHQData
    | LSUNBedroomData
    | ImageNetData
    | FolderData,
    Field(discriminator="kind"),
]
