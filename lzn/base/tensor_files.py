"""Read files of tensors without executing code in them, with errors that name what a file is instead."""

import pickle
import re
import struct
import zipfile
from pathlib import Path
from typing import Any

from lzn.base.file_kinds import HEAD_BYTES, kind_of

_ERRORS = (
    RuntimeError, pickle.UnpicklingError, EOFError, IndexError, KeyError, ValueError, TypeError, AttributeError,
    UnicodeDecodeError, OverflowError, MemoryError, struct.error, zipfile.BadZipFile,
)  # fmt: skip
_FOREIGN_OBJECT = re.compile(r"(?:Unsupported global: GLOBAL|Unsupported class|unsupported GLOBAL) (\S+)")


def load_torch_file(file: Path, *, memory_map: bool = False) -> Any:
    """Read what ``torch.save`` wrote: tensors in plain containers, on the CPU.

    Args:
        file: the file.
        memory_map: read tensors when they are used, if the file's format allows it.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is a folder or another kind of file, is damaged, or holds other objects. The message says what
            it is, in one line.
    """
    import torch  # noqa: PLC0415 - slow, and other modules of this package do not need it

    head = _read_head(file)
    kind = kind_of(head)
    try:
        return torch.load(
            file, map_location="cpu", weights_only=True, mmap=memory_map and zipfile.is_zipfile(file)
        )
    except _ERRORS as error:
        foreign = _FOREIGN_OBJECT.search(str(error))
        if foreign is not None:
            what = f"it holds {foreign[1]}, and only tensors and plain containers are read, because others can run code"
        elif kind is not None and kind.name not in ("a Python pickle", "a zip file"):
            what = f"it is {kind.name}"
        elif kind is not None and kind.name == "a zip file":
            what = "it is a zip file without tensors, or a damaged one"
        else:
            what = f"it has {file.stat().st_size} bytes of another format, or is damaged"
        raise ValueError(f"{file} is not a file of PyTorch tensors: {what}") from error


def load_safetensors_file(file: Path) -> Any:
    """Read a safetensors file. Raises as `load_torch_file`."""
    from safetensors import SafetensorError  # noqa: PLC0415 - as above
    from safetensors.torch import load_file  # noqa: PLC0415

    kind = kind_of(_read_head(file))
    try:
        return load_file(file)
    except (*_ERRORS, SafetensorError) as error:
        what = f"it is {kind.name}" if kind is not None else f"it is damaged ({str(error).splitlines()[0]})"
        raise ValueError(f"{file} is not a safetensors file: {what}") from error


def _read_head(file: Path) -> bytes:
    if file.is_dir():
        raise ValueError(f"{file} is a folder: name a file in it")
    with file.open("rb") as stream:
        return stream.read(HEAD_BYTES)
