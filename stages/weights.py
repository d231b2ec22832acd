"""Weights on disk: safetensors, which hold numbers and run nothing."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from safetensors.torch import load_file, save_file
from torch import Tensor, nn

Module = TypeVar("Module", bound=nn.Module)


def save_weights(module: nn.Module, file: Path) -> None:
    """Write parameters and persistent buffers, in the plain memory layout whatever the module's is."""
    save_tensors(module.state_dict(), file)


def save_tensors(tensors: Mapping[str, Tensor], file: Path) -> None:
    """Write named tensors; the file appears when it is whole."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial")
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, partial)
    partial.replace(file)


def load_weights(module: Module, file: Path) -> Module:
    """Overwrite the weights of ``module``, and return it.

    Raises:
        RuntimeError: tensors are missing, unknown or misshapen.
    """
    module.load_state_dict(load_file(file))
    return module
