"""CelebA-HQ: a folder of 30 000 faces; all images are for training."""

from pathlib import Path

from lzn.datasets.file_source import FileSource
from lzn.datasets.image_files import FoundImages, scan_images
from lzn.datasets.labels import no_classes
from lzn.datasets.missing_data import missing_data_error
from lzn.datasets.source import RawDataSet

# Names of the images' folder in the distributions and in the output of the tools that make them.
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
    """Find CelebA-HQ's images in one of the usual folders (`FOLDERS`), or in ``root`` itself.

    Subfolders (``train/female``, ...) are searched too. There are no classes and no test images.

    Raises:
        MissingDataError: there are no images.
        ValueError: two of the folders exist; ``root`` must be one of them.
    """
    found = _distinct([root / name for name in FOLDERS if (root / name).is_dir()])
    if len(found) > 1:
        raise ValueError(
            f"{root} contains CelebA-HQ more than once: {', '.join(str(path) for path in found)}; "
            "set root to one of these folders"
        )
    place = found[0] if found else root
    images = scan_images(place) if place.is_dir() else FoundImages()
    if not images.paths:
        raise missing_data_error(
            "CelebA-HQ",
            root,
            expected=f"the images, in this folder or in a folder {', '.join(FOLDERS[:4])}, ...",
            download="celeba_hq.zip, see https://github.com/clovaai/stargan-v2 (README, CelebA-HQ), or "
            "CelebAMask-HQ.zip, see https://github.com/switchablenorms/CelebAMask-HQ",
            then=f"unpack it in {root}",
        )
    train = FileSource(place, images.paths, no_classes(len(images.paths)))
    return RawDataSet(train, FileSource(place, [], []), num_classes=1, left_out=images.left_out)


def _distinct(folders: list[Path]) -> list[Path]:
    """Remove folders that are another name of the same folder, as on file systems that ignore case."""
    distinct: list[Path] = []
    for folder in folders:
        if not any(folder.samefile(other) for other in distinct):
            distinct.append(folder)
    return distinct
