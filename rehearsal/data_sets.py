"""Made-up data sets in the layouts in which the real ones are distributed."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lzn.datasets.cifar10 import NUM_CLASSES, PIXELS, TEST_BATCH, TRAIN_BATCHES
from rehearsal.file_formats import (
    encoded_photo,
    imagenet_devkit,
    python2_cifar_pickle,
    random_pixels,
    tar_of,
    write_files,
    write_lmdb,
)

NUM_UNCOUNTED = 4
"""Images of a split whose number the parameter file does not give."""
WNIDS = tuple(f"n0{number}440764" for number in range(1, 9))
"""Classes of the made-up ImageNet: more than five, because top-5 accuracy of five classes is always 100 %."""


def write_data_sets(data: Mapping[str, Mapping[str, Any]], project: Path) -> None:
    """Write each data set of the section ``data`` to its ``root`` in the project, with the numbers of ``expected``.

    Raises:
        KeyError: there is no maker of a kind of data set.
    """
    for section in data.values():
        counts = section["expected"]
        num_train = counts["train"]
        num_test = NUM_UNCOUNTED if counts["test"] is None else counts["test"]
        MAKERS[section["kind"]](project / section["root"], num_train, num_test)


def write_cifar10(root: Path, num_train: int, num_test: int) -> None:
    """Write ``cifar-10-python.tar.gz`` with the pickles of Python 2; ``num_train`` is a multiple of 5."""
    sizes = {**dict.fromkeys(TRAIN_BATCHES, num_train // len(TRAIN_BATCHES)), TEST_BATCH: num_test}
    files = {}
    for seed, (name, size) in enumerate(sizes.items()):
        labels = [(seed * size + index) % NUM_CLASSES for index in range(size)]
        pickled = python2_cifar_pickle(random_pixels(seed, (size, PIXELS)), labels)
        files[f"cifar-10-batches-py/{name}"] = pickled
    write_files(root, {"cifar-10-python.tar.gz": tar_of(files, "w:gz")})


def write_afhq(root: Path, num_train: int, num_test: int) -> None:
    """Write square JPEG files in ``train/<animal>`` and ``val/<animal>``; one of each of the animals not used."""
    counts = {("train", "cat"): num_train, ("val", "cat"): num_test}
    counts |= {(split, animal): 1 for split in ("train", "val") for animal in ("dog", "wild")}
    for (split, animal), count in counts.items():
        photos = {
            f"flickr_{animal}_{index:06}.jpg": encoded_photo(index, width=80, height=80)
            for index in range(count)
        }
        write_files(root / split / animal, photos)


def write_celeba_hq(root: Path, num_train: int, num_test: int) -> None:
    """Write square JPEG files in ``CelebA-HQ-img``; there are no test images."""
    photos = {f"{index}.jpg": encoded_photo(index, width=96, height=96) for index in range(num_train)}
    write_files(root / "CelebA-HQ-img", photos)


def write_lsun_bedroom(root: Path, num_train: int, num_test: int) -> None:
    """Write WebP files under their SHA-1 sums in the databases ``bedroom_train_lmdb`` and ``bedroom_val_lmdb``."""
    for split, count in (("train", num_train), ("val", num_test)):
        photos = [encoded_photo(index, width=96, height=72, file_format="WEBP") for index in range(count)]
        keys = [hashlib.sha1(photo, usedforsecurity=False).hexdigest() for photo in photos]
        write_lmdb(root / f"bedroom_{split}_lmdb", dict(zip(keys, photos, strict=True)))


def write_imagenet(root: Path, num_train: int, num_test: int) -> None:
    """Write the archives of training and validation images and the development kit, with the classes `WNIDS`."""
    of_class: dict[str, dict[str, bytes]] = {wnid: {} for wnid in WNIDS}
    for index in range(num_train):
        wnid = WNIDS[index % len(WNIDS)]
        of_class[wnid][f"{wnid}_{index}.JPEG"] = encoded_photo(index, width=90, height=70)
    train = {f"{wnid}.tar": tar_of(photos) for wnid, photos in of_class.items()}
    validation = {
        f"ILSVRC2012_val_{number:08}.JPEG": encoded_photo(number, width=70, height=90)
        for number in range(1, num_test + 1)
    }
    numbers = dict(enumerate(reversed(WNIDS), start=1))
    truth = [1 + number % len(WNIDS) for number in range(num_test)]
    archives = {
        "ILSVRC2012_img_train.tar": tar_of(train),
        "ILSVRC2012_img_val.tar": tar_of(validation),
        "ILSVRC2012_devkit_t12.tar.gz": imagenet_devkit(numbers, truth),
    }
    write_files(root, archives)


MAKERS: Mapping[str, Callable[[Path, int, int], None]] = {
    "cifar10": write_cifar10,
    "afhq": write_afhq,
    "celeba_hq": write_celeba_hq,
    "lsun_bedroom": write_lsun_bedroom,
    "imagenet": write_imagenet,
}
"""By the kind of data set; a maker gets the root and the numbers of training and test images."""
