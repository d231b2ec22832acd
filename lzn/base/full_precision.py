"""Blocks of code whose float32 matrix products are full float32, whatever the caller's settings are."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Disable autocast on ``device``, and reduced precision of float32 products, inside the block."""
    with autocast_disabled(device), full_float32_products():
        yield


def autocast_disabled(device: torch.device) -> AbstractContextManager[object]:
    """Disable autocast on ``device`` inside the block; some devices have none."""
    if torch.amp.is_autocast_available(device.type):
        return torch.autocast(device.type, enabled=False)
    return nullcontext()


@contextmanager
def full_float32_products() -> Iterator[None]:
    """Compute float32 matrix products in full float32 inside the block.

    After ``torch.set_float32_matmul_precision("high")``, which most training code calls, GPUs round their factors to
    the 10 bits of TF32, and some CPUs to bfloat16.
    """
    products: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.mkldnn.matmul)  # type: ignore[attr-defined]
    before = [product.fp32_precision for product in products]
    try:
        for product in products:
            product.fp32_precision = "ieee"
        yield
    finally:
        for product, precision in zip(products, before, strict=True):
            product.fp32_precision = precision
