"""Read files of released weights without executing code in them."""

import pickle
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from lzn.base.files import file_sha256


class MissingWeightsError(FileNotFoundError):
    """The weights are not on this machine. The message says what to download, from where, and where to put it."""


@dataclass(frozen=True, eq=False)
class WeightsFile:
    """The content of a weights file.

    Attributes:
        state_dict: the saved object; the network checks it.
        sha256: hash of the file, 64 hexadecimal digits.
    """

    state_dict: Any
    sha256: str


def read_weights_file(file: Path, *, advice: str) -> WeightsFile:
    """Read `file`, in the format safetensors (by its suffix) or PyTorch's format, without executing code in it.

    Raises:
        ValueError: the file is damaged or contains no weights; the message contains `advice`.
    """
    try:
        if file.suffix == ".safetensors":
            state_dict = load_file(file)
        else:
            state_dict = torch.load(file, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, struct.error, SafetensorError) as error:
        raise ValueError(f"{file} is not a file of PyTorch weights. {advice}\n{error}") from error
    return WeightsFile(state_dict=state_dict, sha256=file_sha256(file))
