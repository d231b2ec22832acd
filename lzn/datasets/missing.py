"""What a person reads who has not got the data yet."""

from pathlib import Path

from lzn.datasets.source import MissingDataError


def missing(name: str, root: Path, *, wanted: str, download: str, put: str) -> MissingDataError:
    """Return an error that says what is missing, where to get it, and where to put it.

    Args:
        name: the data set.
        root: where it was looked for.
        wanted: what was looked for in ``root``.
        download: what to download, with its URL.
        put: what to do with the download.
    """
    place = root.resolve()  # where links lead: on a cluster's worker out of a checkout that is removed
    state = "" if root.is_dir() else " (there is no such folder)"
    return MissingDataError(
        f"{name} was not found in {place}{state}.\n"
        f"  Wanted there: {wanted}.\n"
        f"  Download: {download}.\n"
        f"  Then: {put}."
    )
