"""Files that appear when they are whole: JSON, and weights as safetensors, which hold numbers and run no code."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from safetensors.torch import load_file, save_file
from torch import Tensor, nn

Module = TypeVar("Module", bound=nn.Module)


@contextmanager
def written_beside(file: Path) -> Iterator[Path]:
    """A path beside ``file`` to write to; when the block ends without an error it is renamed to ``file``.

    The folder is made where it is missing. After an error ``file`` is as it was.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.partial")
    try:
        yield partial
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)


def write_json(file: Path, content: object) -> None:
    """Write JSON with sorted keys and indentation: equal content gives equal bytes."""
    with written_beside(file) as partial:
        partial.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def file_sha256(file: Path) -> str:
    """Return the SHA-256 of a file's content, 64 hexadecimal digits."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def save_weights(module: nn.Module, file: Path) -> None:
    """Write parameters and persistent buffers, in the plain memory layout whatever the module's is."""
    save_tensors(module.state_dict(), file)


def save_tensors(tensors: Mapping[str, Tensor], file: Path) -> None:
    """Write named tensors."""
    with written_beside(file) as partial:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, partial)


def load_weights(module: Module, file: Path) -> Module:
    """Overwrite the weights of ``module``, and return it.

    Raises:
        RuntimeError: tensors are missing, unknown or misshapen.
    """
    module.load_state_dict(load_file(file))
    return module
