"""Inference in full float32, so that features computed on different devices can be compared."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def float32_inference() -> Iterator[None]:
    """Disable gradients, and TF32 and non-deterministic algorithms of cuDNN, within the block."""
    cudnn = torch.backends.cudnn
    with torch.no_grad(), cudnn.flags(enabled=cudnn.enabled, deterministic=True, allow_tf32=False):
        yield
