"""Atomic writes of files: JSON, and weights as safetensors, which run no code when they are read.

Everything that a stage or a command writes goes through `atomic_write`: where DVC links files instead of copying them,
the old file is a file of DVC's cache, and must be replaced and not changed. Torch is imported when it is needed.
"""

import errno
import hashlib
import json
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor, nn

Module = TypeVar("Module", bound="nn.Module")


@contextmanager
def atomic_write(file: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``file``, and rename it to ``file`` when the block ends without an error.

    The temporary path has the suffix of ``file``. The umask decides the mode of the file, also if a library that writes
    it chooses another. If ``file`` is a link, the link is replaced. After an error ``file`` is unchanged. A missing
    folder is created. The temporary name begins with a dot and stays after a killed process: list files with a pattern
    such as ``[!.]*.json``, which leaves it out.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.stem}.partial{file.suffix}")
    partial.unlink(missing_ok=True)  # left by a killed process
    try:
        partial.touch()
        mode = stat.S_IMODE(partial.stat().st_mode)
        partial.unlink()
        yield partial
        partial.chmod(mode)
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)


def copy_file(source: Path, target: Path) -> None:
    """Copy the content of a file with `atomic_write`."""
    with atomic_write(target) as partial:
        shutil.copyfile(source, partial)


def move_file(source: Path, target: Path) -> None:
    """Move a file; a target that is a link is replaced, also on another file system."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        source.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        copy_file(source, target)
        source.unlink()


def write_text(file: Path, text: str) -> None:
    """Write text as UTF-8 with `atomic_write`; line breaks are not converted."""
    with atomic_write(file) as partial:
        partial.write_bytes(text.encode("utf-8"))


def write_array(file: Path, array: NDArray[Any]) -> None:
    """Write an array as a ``.npy`` file with `atomic_write`."""
    with atomic_write(file) as partial, partial.open("wb") as stream:
        np.save(stream, array, allow_pickle=False)


def write_json(file: Path, content: object) -> None:
    """Write JSON with sorted keys, so that equal content gives equal bytes."""
    write_text(file, json.dumps(content, indent=2, sort_keys=True) + "\n")


def file_sha256(file: Path) -> str:
    """Return the SHA-256 of a file's content, as 64 hexadecimal digits."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def save_weights(module: "nn.Module", file: Path) -> None:
    """Write parameters and persistent buffers, in contiguous memory layout."""
    save_tensors(module.state_dict(), file)


def save_tensors(tensors: "Mapping[str, Tensor]", file: Path) -> None:
    """Write named tensors as safetensors."""
    from safetensors.torch import save_file  # noqa: PLC0415 - it imports torch

    with atomic_write(file) as partial:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, partial)


def load_weights(module: Module, file: Path) -> Module:
    """Load the weights of ``module`` from a file, and return the module.

    Raises:
        RuntimeError: tensors are missing, unexpected or have another shape.
    """
    from safetensors.torch import load_file  # noqa: PLC0415 - it imports torch

    module.load_state_dict(load_file(file))
    return module
