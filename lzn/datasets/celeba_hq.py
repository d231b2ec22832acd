"""CelebA-HQ: 30 000 faces, as a folder of images; all of them are for training."""

from pathlib import Path

from lzn.datasets.file_source import FileSource
from lzn.datasets.image_files import find_images
from lzn.datasets.labels import no_classes
from lzn.datasets.missing import missing
from lzn.datasets.source import RawDataSet

# What the images' folder is called by those who distribute them or the tools that make them.
FOLDERS = (
    "CelebA-HQ-img",
    "CelebAMask-HQ/CelebA-HQ-img",
    "celeba_hq",
    "celeba-hq",
    "CelebA-HQ",
    "CelebAHQ",
    "celebahq",
    "celeba_hq_256",
    "celeba_hq_1024",
    "celeba-256",
    "celeba-512",
    "celeba-1024",
    "data256x256",
    "data512x512",
    "data1024x1024",
)


def open_celeba_hq(root: Path) -> RawDataSet:
    """Find CelebA-HQ's images: in one of the folders that are customary, or in ``root`` itself.

    Subfolders (``train/female``, ...) are searched too; the images have no classes, and none is for testing.

    Raises:
        MissingDataError: there are no images.
        ValueError: two of the folders are there; ``root`` should be the one that is meant.
    """
    found = _distinct([root / name for name in FOLDERS if (root / name).is_dir()])
    if len(found) > 1:
        raise ValueError(
            f"{root} has CelebA-HQ more than once: {', '.join(str(path) for path in found)}; "
            "make the one that is meant the root"
        )
    place = found[0] if found else root
    images = find_images(place) if place.is_dir() else []
    if not images:
        raise missing(
            "CelebA-HQ",
            root,
            wanted=f"the images, in the folder itself or in one called {', '.join(FOLDERS[:4])}, ...",
            download="celeba_hq.zip, as https://github.com/clovaai/stargan-v2 (README, CelebA-HQ) says, or "
            "CelebAMask-HQ.zip, as https://github.com/switchablenorms/CelebAMask-HQ says",
            put=f"unpack it in {root}",
        )
    train = FileSource(place, images, no_classes(len(images)))
    return RawDataSet(train, FileSource(place, [], []), num_classes=1)


def _distinct(folders: list[Path]) -> list[Path]:
    """Leave out folders that are the same under another name, as where case does not matter."""
    distinct: list[Path] = []
    for folder in folders:
        if not any(folder.samefile(other) for other in distinct):
            distinct.append(folder)
    return distinct
