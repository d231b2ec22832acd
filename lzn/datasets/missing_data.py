"""The error for a data set that is not on disk, with instructions for its download."""

from pathlib import Path


class MissingDataError(ValueError):
    """A data set is not in its folder. The message says what to download, from where, and where to put it."""


def missing_data_error(name: str, root: Path, *, expected: str, download: str, then: str) -> MissingDataError:
    """Build the error that says what is missing, where to get it, and where to put it.

    Args:
        name: name of the data set.
        root: folder that was searched.
        expected: files or folders that ``root`` should contain.
        download: what to download, with its URL.
        then: what to do with the download.
    """
    place = root.resolve()  # the target of links: a cluster's worker removes its checkout
    state = "" if root.is_dir() else " (the folder does not exist)"
    return MissingDataError(
        f"{name} was not found in {place}{state}.\n"
        f"  Expected there: {expected}.\n"
        f"  Download: {download}.\n"
        f"  Then: {then}."
    )
