"""Inference in full float32, so that features computed on different devices can be compared."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from lzn.base.full_precision import full_float32_products


@contextmanager
def float32_inference() -> Iterator[None]:
    """Disable gradients, TF32, and non-deterministic algorithms of cuDNN, within the block."""
    cudnn = torch.backends.cudnn
    convolutions = cudnn.flags(enabled=cudnn.enabled, deterministic=True, allow_tf32=False)
    with torch.no_grad(), full_float32_products(), convolutions:
        yield
