"""The device to compute on; on CPUs, results are the same in every repetition."""

import os

import torch


def default_device() -> torch.device:
    """Return the CUDA device if there is one, else the CPU, after `make_repeatable`."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    make_repeatable(device)
    return device


def make_repeatable(device: torch.device) -> None:
    """On the CPU, let operations without a deterministic implementation raise RuntimeError."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    if device.type != "cpu":
        return
    # `use_deterministic_algorithms` would import torch's compiler, which takes seconds.
    torch.set_deterministic_debug_mode("error")
    # It fills new memory with NaN to help debugging, which costs time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
