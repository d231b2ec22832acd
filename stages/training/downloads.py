"""Files from the web, kept under their SHA-256."""

import hashlib
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from filelock import FileLock
from tqdm import tqdm

DOWNLOADS = Path(".downloads")
TIMEOUT_S = 60
"""A server that sends nothing for so long is given up."""
CHUNK_BYTES = 1 << 20


class DownloadError(RuntimeError):
    """A file could not be downloaded, or is another one; the message says what to do."""


def download(url: str, *, sha256: str, folder: Path = DOWNLOADS) -> Path:
    """The file at ``url`` whose SHA-256 is ``sha256``, from ``folder`` if it is there.

    What an interrupted download has fetched is kept and continued. A file with another hash is kept under that:
    whoever then corrects ``sha256`` need not download it again.

    Raises:
        DownloadError: the file cannot be fetched, or has another hash, which the message names.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / sha256
    with FileLock(folder / f"{sha256}.lock"):
        if not file.exists() or file_sha256(file) != sha256:
            found = _fetched(url, sha256, folder)
            if found != sha256:
                raise DownloadError(f"{url} has sha256 {found}, not {sha256}; it is kept as {folder / found}")
    return file


def file_sha256(file: Path) -> str:
    """The file's SHA-256 in hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _fetched(url: str, sha256: str, folder: Path) -> str:
    """Fetch the file to ``folder``, where its name is its hash, which is returned."""
    part = folder / f"{sha256}.part"
    continued = part.exists()
    _fetch(url, part)
    found = file_sha256(part)
    if continued and found != sha256:  # its two halves may be of different files
        part.unlink()
        _fetch(url, part)
        found = file_sha256(part)
    part.replace(folder / found)
    return found


def _fetch(url: str, part: Path) -> None:
    """Fetch the bytes that ``part`` does not have yet."""
    have = part.stat().st_size if part.exists() else 0
    request = Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urlopen(request, timeout=TIMEOUT_S) as answer:
            total = _write(answer, part, have=have if answer.status == HTTPStatus.PARTIAL_CONTENT else 0)
    except HTTPError as error:
        if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            return  # nothing follows what is there already
        raise _failure(url, f"{error.code} {error.reason}", part) from error
    except (OSError, HTTPException) as error:
        raise _failure(url, str(error) or type(error).__name__, part) from error
    if total is not None and part.stat().st_size != total:
        raise _failure(url, f"the connection ended after {part.stat().st_size} of {total} bytes", part)


def _write(answer: HTTPResponse, part: Path, *, have: int) -> int | None:
    """Write the answer after the first ``have`` bytes of ``part``, and return how many bytes there should be."""
    length = answer.headers.get("Content-Length")
    total = None if length is None else have + int(length)
    bar = tqdm(total=total, initial=have, desc="download", unit="B", unit_scale=True, disable=None)
    with bar, part.open("ab" if have else "wb") as file:
        while chunk := answer.read(CHUNK_BYTES):
            file.write(chunk)
            bar.update(len(chunk))
    return total


def _failure(url: str, reason: str, part: Path) -> DownloadError:
    kept = f" ({part.stat().st_size} bytes are kept, and it goes on from there)" if part.exists() else ""
    return DownloadError(
        f"{url} could not be downloaded: {reason}. Run again{kept}, or download it yourself and give its "
        "path instead of the url"
    )
