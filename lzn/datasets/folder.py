"""A folder of images of the user."""

from pathlib import Path, PurePosixPath

from lzn.datasets.class_names import in_order
from lzn.datasets.file_source import FileSource
from lzn.datasets.image_files import IMAGE_SUFFIXES, FoundImages, scan_images
from lzn.datasets.left_out import LeftOut, as_table
from lzn.datasets.missing_data import MissingDataError, missing_data_error
from lzn.datasets.names import printable
from lzn.datasets.source import RawDataSet
from lzn.datasets.subset import split_at_random

# Names of splits in small letters, without "_", "-" and a following "set" or "data".
_TRAINING = frozenset({"train", "training"})
_TESTING = frozenset(
    {"test", "testing", "val", "valid", "validation", "dev", "eval", "evaluation", "holdout"}
)


def open_folder(root: Path, *, test_fraction: float, seed: int) -> RawDataSet:
    """Find the images below ``root`` and choose some of them for testing at random.

    If ``root`` has two or more subfolders, they are the classes, in the order of `lzn.datasets.class_names.in_order`;
    otherwise there are no classes.

    Args:
        root: the folder; its subfolders are searched too.
        test_fraction: share of each class that is for testing, in [0, 1).
        seed: seed of the choice.

    Raises:
        MissingDataError: there are no images.
        ValueError: a class has no images, the classes are ambiguous, or ``test_fraction`` is out of range.
    """
    found = scan_images(root) if root.is_dir() else FoundImages()
    if not found.paths:
        raise _no_images(root, found)
    classes = _find_classes(root, found)
    label_of = {name: label for label, name in enumerate(classes)}
    source = FileSource(root, found.paths, [label_of.get(_top_folder(path), 0) for path in found.paths])
    return split_at_random(
        source,
        num_classes=max(len(classes), 1),
        class_names=tuple(printable(name.encode("utf-8", "surrogateescape")) for name in classes),
        left_out=found.left_out,
        test_fraction=test_fraction,
        seed=seed,
    )


def _no_images(root: Path, found: FoundImages) -> MissingDataError:
    error = missing_data_error(
        "The folder of images",
        root,
        expected=f"image files ({' '.join(sorted(IMAGE_SUFFIXES))}), also in subfolders",
        download="nothing, because these are your own images",
        then="put the images there (classes: one subfolder per class), or change root in params.yaml",
    )
    if not found.left_out:
        return error
    return MissingDataError(f"{error}\nThe files there are left out:\n{as_table(found.left_out)}")


def _find_classes(root: Path, found: FoundImages) -> list[str]:
    """Return the names of the classes; an empty list if there are no classes."""
    with_images = {_top_folder(path) for path in found.paths}
    classes = in_order(found.folders)
    _check_splits(root, classes)
    if len(classes) < 2:
        return []
    if "" in with_images:
        raise ValueError(
            f"{root} contains images beside the folders {_some(classes)}, so these cannot be the classes; "
            "move those images into a folder, or, without classes, move all folders into one folder"
        )
    empty = [name for name in classes if name not in with_images]
    if empty:
        raise ValueError(
            f"{root}: subfolders are classes, and there are no images in {_some(empty)}; convert or add images, or "
            f"move what is no class elsewhere{_why_empty(found, empty)}"
        )
    return classes


def _check_splits(root: Path, folders: list[str]) -> None:
    """Raise an error if the folders are the splits of a data set."""
    training = [name for name in folders if _plain(name) in _TRAINING]
    testing = [name for name in folders if _plain(name) in _TESTING]
    are_splits = bool(training and testing) or (len(testing) > 1 and len(testing) == len(folders))
    if are_splits or (training and len(folders) == 1):
        raise ValueError(
            f"{root} contains the folders {_some(folders)}, which are splits and not classes; "
            "set root to one of them"
        )


def _plain(name: str) -> str:
    plain = name.casefold().replace("_", "").replace("-", "")
    return plain.removesuffix("set").removesuffix("data").removesuffix("images")


def _why_empty(found: FoundImages, empty: list[str]) -> str:
    shown = {printable(name.encode("utf-8", "surrogateescape")) for name in empty}
    there: dict[LeftOut, int] = {one: count for one, count in found.left_out.items() if one.folder in shown}
    return f"\nThe files there are left out:\n{as_table(there)}" if there else ""


def _some(names: list[str]) -> str:
    shown = ", ".join(printable(name.encode("utf-8", "surrogateescape")) for name in names[:5])
    return f"{shown}, ..." if len(names) > 5 else shown


def _top_folder(path: str) -> str:
    """Return the first folder of a path, or an empty string for a file in no folder."""
    parts = PurePosixPath(path).parts
    return parts[0] if len(parts) > 1 else ""
