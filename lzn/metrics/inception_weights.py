"""Where the weights of Inception-2015-12-05 are on this machine, and how their file is read."""

import hashlib
import io
import os
import pickle
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

WEIGHTS_VARIABLE: Final = "LZN_INCEPTION_WEIGHTS"
"""Environment variable that names the file of weights."""

WEIGHTS_URL: Final = (
    "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
    "pt_inception-2015-12-05-6726825d.pth"
)

# One file (its sha256 starts with 6726825d) under the names that pytorch-fid and torch-fidelity give it.
_CACHED_NAMES = ("pt_inception-2015-12-05-6726825d.pth", "weights-inception-2015-12-05-6726825d.pth")
_RELEASED_SHA256_START = "6726825d"
# How torch hub names what it downloads: -, the start of the sha256, the ending.
_HASH_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.pth$")


class MissingWeightsError(FileNotFoundError):
    """The weights are not on this machine; the message says what to download, from where, and where to put it."""


@dataclass(frozen=True, eq=False)
class WeightsFile:
    """What a file of weights holds.

    Attributes:
        state_dict: whatever was saved; torch-fidelity's network decides whether it fits.
        sha256: of the file, 64 hexadecimal digits.
    """

    state_dict: Any
    sha256: str

    @property
    def is_released(self) -> bool:
        """Whether these are the weights of Inception-2015-12-05."""
        return self.sha256.startswith(_RELEASED_SHA256_START)


def find_inception_weights(path: Path | None = None) -> Path:
    """The file of weights: `path`, else what LZN_INCEPTION_WEIGHTS names, else the one in torch hub's cache.

    A place that was asked for is not replaced by another that happens to hold a file. Nothing is downloaded.

    Raises:
        MissingWeightsError: there is no such file; the message says where to get it.
    """
    if path is not None:
        return _require_file(path, asked_for_by="the settings")
    if WEIGHTS_VARIABLE in os.environ:
        return _require_file(Path(os.environ[WEIGHTS_VARIABLE]), asked_for_by=WEIGHTS_VARIABLE)
    for name in _CACHED_NAMES:
        if (_cache_folder() / name).is_file():
            return _cache_folder() / name
    raise MissingWeightsError(f"no weights of Inception-2015-12-05 on this machine: {download_advice()}")


def read_weights(file: Path) -> WeightsFile:
    """Read a file of weights, as data only: nothing in it is executed.

    Raises:
        MissingWeightsError: there is no such file.
        ValueError: the file is damaged, or its sha256 is not the one in its name.
    """
    file = _require_file(file, asked_for_by="the caller")
    contents = file.read_bytes()
    sha256 = hashlib.sha256(contents).hexdigest()
    named = _HASH_IN_NAME.search(file.name)
    if named and not sha256.startswith(named[1]):
        raise ValueError(
            f"{file} is damaged: by its name its sha256 starts with {named[1]}, but it is {sha256}; delete it. "
            f"{download_advice()}"
        )
    try:
        state_dict = torch.load(io.BytesIO(contents), map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError) as error:
        raise ValueError(f"{file} is not a file of PyTorch weights. {download_advice()}\n{error}") from error
    return WeightsFile(state_dict=state_dict, sha256=sha256)


def download_advice() -> str:
    """What to download, from where, and where to put it."""
    return (
        f"Download {WEIGHTS_URL} (96 MB) and put it into {_cache_folder()}, or elsewhere and set "
        f"{WEIGHTS_VARIABLE} to its path."
    )


def _cache_folder() -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints"


def _require_file(file: Path, *, asked_for_by: str) -> Path:
    file = file.expanduser()
    if not file.is_file():
        raise MissingWeightsError(
            f"no weights of Inception-2015-12-05 at {file}, the place that {asked_for_by} named: {download_advice()}"
        )
    return file
