"""ImageNet (ILSVRC 2012): 1 281 167 training and 50 000 validation images of 1000 classes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from lzn.datasets.class_names import imagenet_names
from lzn.datasets.file_source import FileSource
from lzn.datasets.image_files import find_images, is_image_name, source_of_classes
from lzn.datasets.imagenet_devkit import Devkit, read_devkit
from lzn.datasets.missing_data import MissingDataError, missing_data_error
from lzn.datasets.source import ImageSource, RawDataSet
from lzn.datasets.tar_archive import TarMember, index_tar
from lzn.datasets.tar_source import TarSource

URL = "https://image-net.org/challenges/LSVRC/2012/2012-downloads.php"
TRAIN_ARCHIVE = "ILSVRC2012_img_train.tar"
VAL_ARCHIVE = "ILSVRC2012_img_val.tar"
DEVKIT_ARCHIVE = "ILSVRC2012_devkit_t12.tar.gz"
_WNID = re.compile(r"n\d{8}")


def open_imagenet(root: Path) -> RawDataSet:
    """Find ImageNet: the three archives, which are not unpacked, or folders with their content.

    Training images are in ``ILSVRC2012_img_train.tar`` or in ``train/<wnid>/``. Validation images are in
    ``ILSVRC2012_img_val.tar`` or in ``val/``, with ``ILSVRC2012_devkit_t12.tar.gz``, or in ``val/<wnid>/``. The
    images and their order are always the same: training images by class and name, validation images by name. The
    label of a class is its index in the sorted WordNet ids. Indexing the archives takes minutes.

    Raises:
        MissingDataError: an archive or a folder is missing.
        ValueError: an archive is damaged, or the parts do not match.
    """
    train = _open_train(root)
    devkit = read_devkit(root / DEVKIT_ARCHIVE) if (root / DEVKIT_ARCHIVE).is_file() else None
    names = imagenet_names(train.wnids, {} if devkit is None else devkit.words)
    return RawDataSet(train.source, _open_val(root, train.wnids, devkit), len(train.wnids), names)


@dataclass(frozen=True)
class _Train:
    """The training images, and the WordNet ids of their classes, sorted."""

    source: ImageSource
    wnids: tuple[str, ...]


def _open_train(root: Path) -> _Train:
    archive, folder = root / TRAIN_ARCHIVE, root / "train"
    if archive.is_file():
        return _open_train_archive(archive)
    wnids = _class_folders(folder)
    if not wnids:
        raise _missing(
            "ImageNet (training images)", root, f"{TRAIN_ARCHIVE}, or train/<wnid>/", TRAIN_ARCHIVE
        )
    return _Train(source_of_classes(folder, wnids), wnids)


def _open_train_archive(archive: Path) -> _Train:
    """Index the archive, which contains one archive per class."""
    classes = index_tar(archive)
    images: list[TarMember] = []
    counts: list[int] = []
    for member in classes:
        path = PurePosixPath(member.name)
        if path.suffix != ".tar" or not _WNID.fullmatch(path.stem):
            raise ValueError(
                f"{archive} is not {TRAIN_ARCHIVE}: its member {member.name} is not the archive of a class"
            )
        of_class = [image for image in index_tar(archive, member) if is_image_name(image.name)]
        if not of_class:
            raise ValueError(f"{archive}: {member.name} contains no images; a class needs at least one")
        images += of_class
        counts.append(len(of_class))
    labels = np.repeat(np.arange(len(classes)), counts)
    return _Train(TarSource(archive, images, labels), tuple(PurePosixPath(c.name).stem for c in classes))


def _open_val(root: Path, wnids: Sequence[str], devkit: Devkit | None) -> ImageSource:
    archive, folder = root / VAL_ARCHIVE, root / "val"
    if archive.is_file() and devkit is not None:
        members = [member for member in index_tar(archive) if is_image_name(member.name)]
        members.sort(key=lambda member: _file_name(member.name))
        labels = _labels_by_devkit(devkit, wnids, len(members), archive)
        return TarSource(archive, members, labels)
    images = sorted(find_images(folder), key=_file_name) if folder.is_dir() else []
    if images and _class_folders(folder):
        return FileSource(folder, images, _labels_by_folder(folder, images, wnids))
    if images and devkit is not None:
        labels = _labels_by_devkit(devkit, wnids, len(images), folder)
        return FileSource(folder, images, labels)
    expected = f"{VAL_ARCHIVE} and {DEVKIT_ARCHIVE}, or val/<wnid>/"
    raise _missing("ImageNet (validation images)", root, expected, f"{VAL_ARCHIVE} and {DEVKIT_ARCHIVE}")


def _labels_by_devkit(devkit: Devkit, wnids: Sequence[str], num_images: int, place: Path) -> list[int]:
    """Return the labels of the validation images in the order of their names, which are numbered from 1."""
    if devkit.wnids != tuple(wnids):
        different = sorted(set(devkit.wnids).symmetric_difference(wnids))
        raise ValueError(
            f"training images and development kit differ in {len(different)} classes, such as {different[0]}"
        )
    if num_images != len(devkit.validation_wnids):
        raise ValueError(
            f"{place} contains {num_images} images, but the development kit has "
            f"{len(devkit.validation_wnids)} labels; download the missing images"
        )
    label_of = {wnid: label for label, wnid in enumerate(wnids)}
    return [label_of[wnid] for wnid in devkit.validation_wnids]


def _labels_by_folder(folder: Path, images: Sequence[str], wnids: Sequence[str]) -> list[int]:
    label_of = {wnid: label for label, wnid in enumerate(wnids)}
    unknown = [path for path in images if PurePosixPath(path).parts[0] not in label_of]
    if unknown:
        raise ValueError(f"{folder / unknown[0]} is in a folder that is not a class of the training images")
    return [label_of[PurePosixPath(path).parts[0]] for path in images]


def _class_folders(folder: Path) -> tuple[str, ...]:
    """Return the sorted names of the subfolders that are WordNet ids."""
    if not folder.is_dir():
        return ()
    return tuple(
        sorted(path.name for path in folder.iterdir() if _WNID.fullmatch(path.name) and path.is_dir())
    )


def _file_name(path: str) -> tuple[str, str]:
    """Return the sort key of a path: the file name without folders, then the whole path."""
    return PurePosixPath(path).name, path


def _missing(name: str, root: Path, expected: str, archives: str) -> MissingDataError:
    return missing_data_error(
        name,
        root,
        expected=expected,
        download=f"{archives} from {URL} (registration is needed)",
        then=f"put them into {root}; do not unpack them",
    )
