"""Where the weights of Inception-2015-12-05 are on this machine or come from, and how their file is read."""

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
"""Environment variable that names the file of weights."""


@dataclass(frozen=True)
class InceptionRelease:
    """The released file, which pytorch-fid and torch-fidelity share.

    Attributes:
        url: where it is downloaded from.
        sha256: of the file.
        names: what it is called in torch hub's cache; the first is what a download gets.
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

# How torch hub names what it downloads: -, the start of the sha256, the ending.
_HASH_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.pth$")


def find_inception_weights(path: Path | None = None, *, release: InceptionRelease = RELEASE) -> Path:
    """The file of weights: `path`, else what LZN_INCEPTION_WEIGHTS names, else torch hub's cache, else a download.

    A place that was asked for is not replaced by another that happens to hold a file. A download goes to torch hub's
    cache, and must have the release's sha256.

    Raises:
        MissingWeightsError: there is no such file, and it cannot be downloaded; the message says where to get it.
    """
    if path is not None:
        return _require_file(path, asked_for_by="the settings")
    if WEIGHTS_VARIABLE in os.environ:
        return _require_file(Path(os.environ[WEIGHTS_VARIABLE]), asked_for_by=WEIGHTS_VARIABLE)
    for name in release.names:
        if (_cache_folder() / name).is_file():
            return _cache_folder() / name
    return _download(release)


def read_weights(file: Path) -> WeightsFile:
    """Read a file of weights, as data only: nothing in it is executed.

    Raises:
        MissingWeightsError: there is no such file.
        ValueError: the file is damaged, or its sha256 is not the one in its name.
    """
    file = _require_file(file, asked_for_by="the caller")
    named = _HASH_IN_NAME.search(file.name)
    if named and not (sha256 := file_sha256(file)).startswith(named[1]):
        raise ValueError(
            f"{file} is damaged: by its name its sha256 starts with {named[1]}, but it is {sha256}; delete it. "
            f"{download_advice()}"
        )
    return read_weights_file(file, advice=download_advice())


def download_advice() -> str:
    """What to download, from where, and where to put it."""
    return (
        f"Download {RELEASE.url} (96 MB) and put it into {_cache_folder()}, or elsewhere and set "
        f"{WEIGHTS_VARIABLE} to its path."
    )


def _download(release: InceptionRelease) -> Path:
    target = _cache_folder() / release.names[0]
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        torch.hub.download_url_to_file(
            release.url, str(target), hash_prefix=release.sha256, progress=sys.stderr.isatty()
        )
    except (OSError, HTTPException, RuntimeError) as error:  # RuntimeError: another sha256
        raise MissingWeightsError(
            f"no weights of Inception-2015-12-05 on this machine, and downloading {release.url} failed ({error}): "
            f"{download_advice()}"
        ) from error
    return target


def _cache_folder() -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints"


def _require_file(file: Path, *, asked_for_by: str) -> Path:
    file = file.expanduser()
    if not file.is_file():
        raise MissingWeightsError(
            f"no weights of Inception-2015-12-05 at {file}, the place that {asked_for_by} named: {download_advice()}"
        )
    return file
