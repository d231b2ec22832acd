"""Any folder of images."""

from pathlib import Path, PurePosixPath

from lzn.datasets.file_source import FileSource
from lzn.datasets.image_files import IMAGE_SUFFIXES, find_images
from lzn.datasets.missing import missing
from lzn.datasets.source import RawDataSet
from lzn.datasets.subset import split_at_random

_SPLIT_NAMES = frozenset({"train", "val", "valid", "validation", "test"})


def open_folder(root: Path, *, test_fraction: float, seed: int) -> RawDataSet:
    """Find the images below ``root`` and set some aside for testing, at random.

    If two or more subfolders hold images, these are the classes, in sorted order; otherwise there are none.

    Args:
        root: the folder; its subfolders are searched too.
        test_fraction: share of each class that is for testing, in [0, 1).
        seed: decides which images.

    Raises:
        MissingDataError: there are no images.
        ValueError: it is not clear what the classes are, or ``test_fraction`` is out of range.
    """
    images = find_images(root) if root.is_dir() else []
    if not images:
        raise missing(
            "A folder of images",
            root,
            wanted=f"image files ({' '.join(sorted(IMAGE_SUFFIXES))}), also in subfolders",
            download="nothing: this data set is yours",
            put="put the images there, or change the data set's root; a subfolder for each class, if there are any",
        )
    classes = _find_classes(root, images)
    label_of = {name: label for label, name in enumerate(classes)}
    source = FileSource(root, images, [label_of.get(_top_folder(path), 0) for path in images])
    return split_at_random(source, num_classes=max(len(classes), 1), test_fraction=test_fraction, seed=seed)


def _find_classes(root: Path, images: list[str]) -> list[str]:
    """Return the names of the classes; none if all images are of one kind."""
    folders = sorted({_top_folder(path) for path in images})
    classes = [name for name in folders if name]
    if len(classes) < 2:
        return []
    if "train" in classes and _SPLIT_NAMES.issuperset(classes):
        raise ValueError(
            f"{root} has the folders {', '.join(classes)}, which would be taken for classes; make one of them the root"
        )
    if "" in folders:
        raise ValueError(
            f"{root} has images beside the folders {', '.join(classes[:5])}, so that these cannot be the classes; "
            "move those images into a folder too, or the folders into a single one if there are no classes"
        )
    return classes


def _top_folder(path: str) -> str:
    """Return the first folder of a path; empty for a file that lies in no folder."""
    parts = PurePosixPath(path).parts
    return parts[0] if len(parts) > 1 else ""
