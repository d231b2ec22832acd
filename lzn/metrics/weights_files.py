"""Files of released weights: where they may come from, and how they are read without executing anything in them."""

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
    """The weights are not on this machine; the message says what to download, from where, and where to put it."""


@dataclass(frozen=True, eq=False)
class WeightsFile:
    """What a file of weights holds.

    Attributes:
        state_dict: whatever was saved; the network decides whether it fits.
        sha256: of the file, 64 hexadecimal digits.
    """

    state_dict: Any
    sha256: str


def read_weights_file(file: Path, *, advice: str) -> WeightsFile:
    """Read `file`, safetensors by its name or else PyTorch's format, as data only: nothing in it is executed.

    Raises:
        ValueError: the file is damaged or holds no weights; the message ends with `advice`.
    """
    try:
        if file.suffix == ".safetensors":
            state_dict = load_file(file)
        else:
            state_dict = torch.load(file, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, struct.error, SafetensorError) as error:
        raise ValueError(f"{file} is not a file of PyTorch weights. {advice}\n{error}") from error
    return WeightsFile(state_dict=state_dict, sha256=file_sha256(file))
