"""A folder of images of the user."""

from pathlib import Path, PurePosixPath

from lzn.datasets.class_names import in_order
from lzn.datasets.file_source import FileSource
from lzn.datasets.image_files import IMAGE_SUFFIXES, find_images
from lzn.datasets.missing_data import missing_data_error
from lzn.datasets.source import RawDataSet
from lzn.datasets.subset import split_at_random

_SPLIT_NAMES = frozenset({"train", "val", "valid", "validation", "test"})


def open_folder(root: Path, *, test_fraction: float, seed: int) -> RawDataSet:
    """Find the images below ``root`` and choose some of them for testing at random.

    If two or more subfolders contain images, they are the classes, in the order of
    `lzn.datasets.class_names.in_order`; otherwise there are no classes.

    Args:
        root: the folder; its subfolders are searched too.
        test_fraction: share of each class that is for testing, in [0, 1).
        seed: seed of the choice.

    Raises:
        MissingDataError: there are no images.
        ValueError: the classes are ambiguous, or ``test_fraction`` is out of range.
    """
    images = find_images(root) if root.is_dir() else []
    if not images:
        raise missing_data_error(
            "The folder of images",
            root,
            expected=f"image files ({' '.join(sorted(IMAGE_SUFFIXES))}), also in subfolders",
            download="nothing, because these are your own images",
            then="put the images there (classes: one subfolder per class), or change root in params.yaml",
        )
    classes = _find_classes(root, images)
    label_of = {name: label for label, name in enumerate(classes)}
    source = FileSource(root, images, [label_of.get(_top_folder(path), 0) for path in images])
    return split_at_random(
        source,
        num_classes=max(len(classes), 1),
        class_names=tuple(classes),
        test_fraction=test_fraction,
        seed=seed,
    )


def _find_classes(root: Path, images: list[str]) -> list[str]:
    """Return the names of the classes; an empty list if there are no classes."""
    folders = in_order({_top_folder(path) for path in images})
    classes = [name for name in folders if name]
    if len(classes) < 2:
        return []
    if "train" in classes and _SPLIT_NAMES.issuperset(classes):
        raise ValueError(
            f"{root} contains the folders {', '.join(classes)}, which are splits and not classes; "
            "set root to one of them"
        )
    if "" in folders:
        raise ValueError(
            f"{root} contains images beside the folders {', '.join(classes[:5])}, so these cannot be the classes; "
            "move those images into a folder, or, without classes, move all folders into one folder"
        )
    return classes


def _top_folder(path: str) -> str:
    """Return the first folder of a path, or an empty string for a file in no folder."""
    parts = PurePosixPath(path).parts
    return parts[0] if len(parts) > 1 else ""
