"""Find, download and read the weights of Inception-2015-12-05."""

import os
import re
import sys
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Final

import torch

from lzn.base.files import file_sha256
from lzn.metrics.weights_files import MissingWeightsError, WeightsFile, read_weights_file

WEIGHTS_VARIABLE: Final = "LZN_INCEPTION_WEIGHTS"
"""Environment variable that names the weights file."""


@dataclass(frozen=True)
class InceptionRelease:
    """The released file, which pytorch-fid and torch-fidelity use.

    Attributes:
        url: address of the download.
        sha256: hash of the file.
        names: its names in torch hub's cache; a download gets the first name.
    """

    url: str
    sha256: str
    names: tuple[str, ...]


RELEASE: Final = InceptionRelease(
    url="https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
    "pt_inception-2015-12-05-6726825d.pth",
    sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
    names=("pt_inception-2015-12-05-6726825d.pth", "weights-inception-2015-12-05-6726825d.pth"),
)

# The end of a file name in torch hub's cache: the start of the sha256, and the suffix.
_HASH_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.pth$")


def find_inception_weights(path: Path | None = None, *, release: InceptionRelease = RELEASE) -> Path:
    """Find the weights file: `path`, or LZN_INCEPTION_WEIGHTS, or torch hub's cache, or a download.

    The first of these that is set is used, and an error is raised if it does not exist. A download goes to torch
    hub's cache, and must have the release's sha256.

    Raises:
        MissingWeightsError: there is no file, and the download failed. The message says where to get it.
    """
    if path is not None:
        return _require_file(path, set_by="the settings")
    if WEIGHTS_VARIABLE in os.environ:
        return _require_file(Path(os.environ[WEIGHTS_VARIABLE]), set_by=WEIGHTS_VARIABLE)
    for name in release.names:
        if (_cache_folder() / name).is_file():
            return _cache_folder() / name
    return _download(release)


def read_weights(file: Path) -> WeightsFile:
    """Read a weights file without executing code in it.

    Raises:
        MissingWeightsError: the file does not exist.
        ValueError: the file is damaged, or its sha256 differs from the one in its name.
    """
    file = _require_file(file, set_by="the caller")
    named = _HASH_IN_NAME.search(file.name)
    if named and not (sha256 := file_sha256(file)).startswith(named[1]):
        raise ValueError(
            f"{file} is damaged: its sha256 must start with {named[1]} (from its name), but is {sha256}; delete it. "
            f"{download_advice()}"
        )
    return read_weights_file(file, advice=download_advice())


def download_advice() -> str:
    """Return the text that says what to download, from where, and where to put it."""
    return (
        f"Download {RELEASE.url} (96 MB) into {_cache_folder()}, or into another folder and set "
        f"{WEIGHTS_VARIABLE} to its path."
    )


def _download(release: InceptionRelease) -> Path:
    target = _cache_folder() / release.names[0]
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        torch.hub.download_url_to_file(
            release.url, str(target), hash_prefix=release.sha256, progress=sys.stderr.isatty()
        )
    except (OSError, HTTPException, RuntimeError) as error:  # RuntimeError: the sha256 is wrong
        raise MissingWeightsError(
            f"there are no weights of Inception-2015-12-05 on this machine, and the download failed ({error}). "
            f"{download_advice()}"
        ) from error
    return target


def _cache_folder() -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints"


def _require_file(file: Path, *, set_by: str) -> Path:
    file = file.expanduser()
    if not file.is_file():
        raise MissingWeightsError(
            f"there are no weights of Inception-2015-12-05 at {file}, which is set by {set_by}. {download_advice()}"
        )
    return file
