"""ImageNet (ILSVRC 2012): 1 281 167 training and 50 000 validation images of 1000 classes."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from lzn.datasets.class_names import imagenet_names
from lzn.datasets.file_source import FileSource
from lzn.datasets.image_files import (
    FoundImages,
    FoundSource,
    images_of_classes,
    is_image_name,
    scan_images,
)
from lzn.datasets.imagenet_devkit import Devkit, read_devkit
from lzn.datasets.left_out import LeftOut, LeftOutCounts
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
    val = _open_val(root, train.wnids, devkit)
    left_out = Counter(train.left_out) + Counter(val.left_out)
    return RawDataSet(train.source, val.source, len(train.wnids), names, left_out)


@dataclass(frozen=True)
class _Train:
    """The training images, the WordNet ids of their classes, sorted, and the files that are left out."""

    source: ImageSource
    wnids: tuple[str, ...]
    left_out: LeftOutCounts


def _open_train(root: Path) -> _Train:
    archive, folder = root / TRAIN_ARCHIVE, root / "train"
    if archive.is_file():
        return _open_train_archive(archive)
    wnids = _class_folders(folder)
    if not wnids:
        raise _missing(
            "ImageNet (training images)", root, f"{TRAIN_ARCHIVE}, or train/<wnid>/", TRAIN_ARCHIVE
        )
    found = images_of_classes(folder, wnids)
    return _Train(found.source, wnids, found.left_out)


def _open_train_archive(archive: Path) -> _Train:
    """Index the archive, which contains one archive per class."""
    classes = index_tar(archive)
    images: list[TarMember] = []
    counts: list[int] = []
    left_out: Counter[LeftOut] = Counter()
    for member in classes:
        path = PurePosixPath(member.name)
        if path.suffix != ".tar" or not _WNID.fullmatch(path.stem):
            raise ValueError(
                f"{archive} is not {TRAIN_ARCHIVE}: its member {member.name} is not the archive of a class"
            )
        members = index_tar(archive, member)
        of_class = [image for image in members if is_image_name(image.name)]
        left_out += _other_members(members, folder=path.stem)
        if not of_class:
            raise ValueError(f"{archive}: {member.name} contains no images; a class needs at least one")
        images += of_class
        counts.append(len(of_class))
    labels = np.repeat(np.arange(len(classes)), counts)
    wnids = tuple(PurePosixPath(one.name).stem for one in classes)
    return _Train(TarSource(archive, images, labels), wnids, left_out)


def _other_members(members: Sequence[TarMember], *, folder: str) -> Counter[LeftOut]:
    """Count the members of an archive that do not have the name of an image."""
    names = [PurePosixPath(member.name) for member in members if not is_image_name(member.name)]
    return Counter(LeftOut(folder, name.suffix.lower(), "not the name of an image") for name in names)


def _open_val(root: Path, wnids: Sequence[str], devkit: Devkit | None) -> FoundSource:
    archive, folder = root / VAL_ARCHIVE, root / "val"
    if archive.is_file() and devkit is not None:
        all_members = index_tar(archive)
        members = [member for member in all_members if is_image_name(member.name)]
        members.sort(key=lambda member: _file_name(member.name))
        labels = _labels_by_devkit(devkit, wnids, len(members), archive)
        return FoundSource(TarSource(archive, members, labels), _other_members(all_members, folder=""))
    found = scan_images(folder) if folder.is_dir() else FoundImages()
    images = sorted(found.paths, key=_file_name)
    if images and _class_folders(folder):
        by_folder = _labels_by_folder(folder, images, wnids)
        return FoundSource(FileSource(folder, images, by_folder), found.left_out)
    if images and devkit is not None:
        labels = _labels_by_devkit(devkit, wnids, len(images), folder)
        return FoundSource(FileSource(folder, images, labels), found.left_out)
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
