"""The device to compute on. Results on the CPU are deterministic."""

import os

import torch


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
