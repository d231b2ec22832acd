"""Weights on disk: safetensors, which hold numbers and run nothing."""

from pathlib import Path
from typing import TypeVar

from safetensors.torch import load_file, save_file
from torch import nn

Module = TypeVar("Module", bound=nn.Module)


def save_weights(module: nn.Module, file: Path) -> None:
    """Write parameters and persistent buffers, in the plain memory layout whatever the module's is."""
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.cpu().contiguous() for name, tensor in module.state_dict().items()}, file)


def load_weights(module: Module, file: Path) -> Module:
    """Overwrite the weights of ``module``, and return it.

    Raises:
        RuntimeError: tensors are missing, unknown or misshapen.
    """
    module.load_state_dict(load_file(file))
    return module
