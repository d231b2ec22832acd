"""Download files into a cache, in which the name of a file is its SHA-256."""

from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from filelock import FileLock

from lzn.base.files import file_sha256
from stages.runtime.progress_bars import progress_bar
from stages.runtime.project_root import in_project

DOWNLOADS = ".downloads"
"""The cache, in the project's root."""
TIMEOUT_S = 60
"""A download fails if the server sends nothing for this time."""
CHUNK_BYTES = 1 << 20


class DownloadError(RuntimeError):
    """A download failed, or the file has another hash."""


def download(url: str, *, sha256: str, folder: Path | None = None) -> Path:
    """Return the path of the file in ``folder`` (None: `DOWNLOADS`); download it from ``url`` if it is not there.

    An interrupted download is continued. A file with another hash is kept under that hash: after a correction of
    ``sha256`` it is not downloaded again.

    Raises:
        DownloadError: the download failed, or the file has another hash, which the message names.
    """
    folder = in_project(DOWNLOADS) if folder is None else folder
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / sha256
    with FileLock(folder / f"{sha256}.lock", mode=0o666):
        if not file.exists() or file_sha256(file) != sha256:
            found = _download_to(folder, url, sha256)
            if found != sha256:
                raise DownloadError(f"{url} has sha256 {found}, not {sha256}; it is kept as {folder / found}")
    return file


def _download_to(folder: Path, url: str, sha256: str) -> str:
    """Download the file into ``folder`` under the name of its hash, and return the hash."""
    part = folder / f"{sha256}.part"
    continued = part.exists()
    _download_rest(url, part)
    found = file_sha256(part)
    if continued and found != sha256:  # the two parts may be of different files
        part.unlink()
        _download_rest(url, part)
        found = file_sha256(part)
    part.replace(folder / found)
    return found


def _download_rest(url: str, part: Path) -> None:
    """Download the bytes that ``part`` does not have yet."""
    have = part.stat().st_size if part.exists() else 0
    request = Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urlopen(request, timeout=TIMEOUT_S) as answer:
            total = _write(answer, part, have=have if answer.status == HTTPStatus.PARTIAL_CONTENT else 0)
    except HTTPError as error:
        if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            return  # the part is already complete
        raise _failure(url, f"{error.code} {error.reason}", part) from error
    except (OSError, HTTPException) as error:
        raise _failure(url, str(error) or type(error).__name__, part) from error
    if total is not None and part.stat().st_size != total:
        raise _failure(url, f"the connection ended after {part.stat().st_size} of {total} bytes", part)


def _write(answer: HTTPResponse, part: Path, *, have: int) -> int | None:
    """Write the answer after the first ``have`` bytes of ``part``, and return the expected total number of bytes."""
    length = answer.headers.get("Content-Length")
    total = None if length is None else have + int(length)
    bar = progress_bar("download", total=total, initial=have, unit="B", scaled=True)
    with bar, part.open("ab" if have else "wb") as file:
        while chunk := answer.read(CHUNK_BYTES):
            file.write(chunk)
            bar.update(len(chunk))
    return total


def _failure(url: str, reason: str, part: Path) -> DownloadError:
    kept = f", which continues after the {part.stat().st_size} bytes that are kept" if part.exists() else ""
    return DownloadError(
        f"{url} could not be downloaded: {reason}. Run the stage again{kept}, or download the file yourself and "
        "give its path instead of the url"
    )
