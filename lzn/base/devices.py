"""The device to compute on. Results on the CPU are deterministic; other devices are not waited for."""

import os
from functools import lru_cache

import torch
from torch import Tensor


def default_device() -> torch.device:
    """Return the CUDA device if there is one, else the CPU, after `use_deterministic_operations`."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    use_deterministic_operations(device)
    return device


def use_deterministic_operations(device: torch.device) -> None:
    """Make CUDA's matrix products deterministic and, on the CPU, non-deterministic operations a RuntimeError."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    if device.type != "cpu":
        return
    # `use_deterministic_algorithms` imports torch's compiler, which takes seconds.
    torch.set_deterministic_debug_mode("error")
    # The debug mode fills new memory with NaN, which costs time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def is_cpu(tensor: Tensor) -> bool:
    """Return whether reading a value of ``tensor`` does not synchronise a device."""
    return tensor.device.type == "cpu"


@lru_cache(maxsize=64)
def constant(values: tuple[float, ...], *, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return ``values`` as a tensor (n,), which must not be changed.

    It is filled on the device: a copy of a list from the CPU would synchronise with the device.
    """
    with torch.inference_mode(False):
        numbers = [torch.full((1,), value, dtype=dtype, device=device) for value in values]
        return torch.cat(numbers)
