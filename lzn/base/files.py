"""Atomic writes of files: JSON, and weights as safetensors, which run no code when they are read."""

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
def atomic_write(file: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``file``, and rename it to ``file`` when the block ends without an error.

    After an error ``file`` is unchanged. A missing folder is created.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.partial")
    try:
        yield partial
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)


def write_json(file: Path, content: object) -> None:
    """Write JSON with sorted keys, so that equal content gives equal bytes."""
    with atomic_write(file) as partial:
        partial.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def file_sha256(file: Path) -> str:
    """Return the SHA-256 of a file's content, as 64 hexadecimal digits."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def save_weights(module: nn.Module, file: Path) -> None:
    """Write parameters and persistent buffers, in contiguous memory layout."""
    save_tensors(module.state_dict(), file)


def save_tensors(tensors: Mapping[str, Tensor], file: Path) -> None:
    """Write named tensors as safetensors."""
    with atomic_write(file) as partial:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, partial)


def load_weights(module: Module, file: Path) -> Module:
    """Load the weights of ``module`` from a file, and return the module.

    Raises:
        RuntimeError: tensors are missing, unexpected or have another shape.
    """
    module.load_state_dict(load_file(file))
    return module
