"""The section ``data`` of params.yaml: the data sets, their folders, and how their images are prepared."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from lzn.base.sections import Section
from lzn.data.decoding import STRICT, DecodingRules
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
from lzn.datasets.cifar10 import SOURCE_NAMES as CIFAR10_NAMES
from lzn.datasets.fashion_mnist import SOURCE_NAMES as FASHION_MNIST_NAMES
from lzn.preparation import Fit, FitKind, OnCorrupt, Resize

ImageSize = Annotated[int, Field(ge=1)]


class ExpectedCounts(Section):
    """Numbers of images that the source must have; null allows any number."""

    train: Annotated[int, Field(ge=1)] | None = None
    test: Annotated[int, Field(ge=0)] | None = None


class DataParams(Section, ABC):
    """The parameters of all data sets."""

    image_size: ImageSize
    """Side of the images, in pixels."""
    fit: FitKind
    """How an image of another size is converted to ``image_size``: see `lzn.preparation.Fit`."""
    resize: Resize = "lanczos"
    """The filter of this conversion: see `lzn.preparation.fit.Resize`."""
    storage: Storage = "pixels"
    """How images are stored: ``pixels``, ``png`` (lossless, about a third), or ``original`` (unchanged files)."""
    expected: ExpectedCounts | None = None
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    """Hash that the prepared data set must have; it is in ``dataset.json``."""
    on_corrupt: OnCorrupt = "stop"
    """``stop``: an unusable image is an error. ``set_aside``: it is left out and listed in ``set_aside.txt``."""

    @property
    def num_channels(self) -> int:
        """1 for grey, 3 for colour."""
        return 3

    @property
    def view_shorter_side(self) -> int | None:
        """Length of the shorter side after the resize of an original; None for other storages."""
        return None

    @property
    def decoding(self) -> DecodingRules:
        """How image files are decoded."""
        return STRICT

    @property
    def watched(self) -> list[Path]:
        """The files and folders that are read: `lzn.preparation.source_files` notices their changes."""
        return []

    @abstractmethod
    def open(self) -> RawDataSet:
        """Find the data set on disk.

        Raises:
            MissingDataError: the data set is not there.
            ValueError: a file is damaged.
            OSError: a file cannot be read.
        """

    def build_fit(self) -> Fit:
        """Build the conversion of images to ``image_size`` and ``num_channels``."""
        return Fit(
            kind=self.fit,
            size=self.image_size,
            num_channels=self.num_channels,
            decoding=self.decoding,
            resize=self.resize,
        )


class DigitsData(DataParams):
    """The handwritten digits of scikit-learn, split at random and stratified by class."""

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
    """The folder of the data set, relative to the project's root; ``~`` is the home folder."""

    @property
    def folder(self) -> Path:
        """The folder of the data set."""
        return Path(self.root).expanduser()

    @property
    def watched(self) -> list[Path]:
        """The whole folder."""
        return [self.folder]


class CIFAR10Data(_DataOnDisk):
    """CIFAR10, 32x32."""

    kind: Literal["cifar10"]
    image_size: ImageSize = 32
    fit: FitKind = "exact"
    storage: Literal["pixels", "png"] = "pixels"

    @property
    def watched(self) -> list[Path]:
        """The archive, its folder and its files: other data sets may be beside them."""
        return [self.folder / name for name in CIFAR10_NAMES]

    def open(self) -> RawDataSet:
        """Read the archive or its unpacked folder."""
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

    @property
    def watched(self) -> list[Path]:
        """The four files and torchvision's folders: other data sets may be beside them."""
        return [self.folder / name for name in FASHION_MNIST_NAMES]

    def open(self) -> RawDataSet:
        """Read the four files."""
        return open_fashion_mnist(self.folder)


class _DataOfFiles(_DataOnDisk):
    """Data sets of image files; only these can have the storage ``original``."""

    fit: FitKind = "crop"
    shorter_side: ImageSize | None = None
    """With storage ``original``: length of the shorter side before the crop to ``image_size``. Null: 8/7 of
    ``image_size``, such as 256 for 224."""
    bit_depth: Annotated[int, Field(ge=1, le=16)] | None = None
    """Used bits of grey images with 16 bits, such as 12. Null: 16, and images that seem to use fewer are unusable."""
    first_frame: bool = False
    """Read the first frame of animations and the first page of TIFF files, which are unusable otherwise."""

    @property
    def decoding(self) -> DecodingRules:
        """How image files are decoded."""
        return DecodingRules(bit_depth=self.bit_depth, first_frame=self.first_frame)

    @property
    def view_shorter_side(self) -> int | None:
        """Length of the shorter side after the resize of an original; None for other storages."""
        if self.storage != "original":
            return None
        return self.image_size * 8 // 7 if self.shorter_side is None else self.shorter_side

    @model_validator(mode="after")
    def _check_originals(self) -> Self:
        if self.storage == "original" and self.fit != "crop":
            raise ValueError(
                "storage: original does not change images; it needs fit: crop, which defines their view"
            )
        if self.shorter_side is not None:
            if self.storage != "original":
                raise ValueError("shorter_side needs storage: original")
            if self.shorter_side < self.image_size:
                raise ValueError(f"shorter_side must be at least image_size, {self.image_size}")
        return self


class AFHQData(_DataOfFiles):
    """One animal of AFHQ."""

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
        """Find the images."""
        return open_celeba_hq(self.folder)


class LSUNBedroomData(_DataOfFiles):
    """LSUN-Bedroom."""

    kind: Literal["lsun_bedroom"]
    image_size: ImageSize = 256

    def open(self) -> RawDataSet:
        """Find the database or the folder of images."""
        return open_lsun_bedroom(self.folder)


class ImageNetData(_DataOfFiles):
    """ImageNet (ILSVRC 2012); the default storage is ``original``, because training crops the original images."""

    kind: Literal["imagenet"]
    image_size: ImageSize = 224
    storage: Storage = "original"

    def open(self) -> RawDataSet:
        """Find the archives or folders."""
        return open_imagenet(self.folder)


class FolderData(_DataOfFiles):
    """A folder of images; its subfolders are classes."""

    kind: Literal["folder"]
    image_channels: Literal[1, 3] = 3
    test_fraction: Annotated[float, Field(ge=0, lt=1)]
    seed: Annotated[int, Field(ge=0)]

    @property
    def num_channels(self) -> int:
        """1 for grey, 3 for colour."""
        return self.image_channels

    def open(self) -> RawDataSet:
        """Find the images and split them at random."""
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
