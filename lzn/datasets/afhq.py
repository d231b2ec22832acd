"""AFHQ: animal faces at 512x512; the paper uses the cats (5153 for training)."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from lzn.datasets.image_files import images_of_classes
from lzn.datasets.missing_data import missing_data_error
from lzn.datasets.source import RawDataSet

URL = "https://github.com/clovaai/stargan-v2/blob/master/README.md#animal-faces-hq-dataset-afhq"


def open_afhq(root: Path, *, animals: Sequence[str] = ("cat",)) -> RawDataSet:
    """Find AFHQ's images in ``root/train/<animal>`` and ``root/val/<animal>`` (version 2: ``root/test/<animal>``).

    ``root`` is the folder ``afhq`` of the archive, or contains it. The classes are the animals, sorted.

    Raises:
        MissingDataError: a folder is missing.
        ValueError: ``animals`` is empty, or a folder contains no images.
    """
    classes = sorted(set(animals))
    if not classes:
        raise ValueError("animals must name at least one folder, such as 'cat'")
    for place in (root, root / "afhq", root / "afhq_v2"):
        for test in ("val", "test"):
            if all((place / split / name).is_dir() for split in ("train", test) for name in classes):
                train, tests = (images_of_classes(place / split, classes) for split in ("train", test))
                return RawDataSet(
                    train=train.source,
                    test=tests.source,
                    num_classes=len(classes),
                    class_names=tuple(classes),
                    left_out=Counter(train.left_out) + Counter(tests.left_out),
                )
    raise missing_data_error(
        f"AFHQ ({', '.join(classes)})",
        root,
        expected=", ".join(f"{split}/{name}/" for split in ("train", "val") for name in classes),
        download=f"afhq.zip, see {URL}",
        then=f"unpack it so that {root / 'train' / classes[0]} contains its images",
    )
