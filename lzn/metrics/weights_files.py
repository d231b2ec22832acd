"""Read files of released weights without executing code in them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lzn.base.files import file_sha256
from lzn.base.tensor_files import load_safetensors_file, load_torch_file


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
        state_dict = load_safetensors_file(file) if file.suffix == ".safetensors" else load_torch_file(file)
    except ValueError as error:
        raise ValueError(f"{error}. {advice}") from error
    return WeightsFile(state_dict=state_dict, sha256=file_sha256(file))
