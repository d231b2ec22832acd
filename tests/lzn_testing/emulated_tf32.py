"""Matrix products of the CPU that round like TF32, where the settings of a GPU would allow it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

PRODUCTS = {"mm", "addmm", "addmm_", "bmm", "baddbmm", "baddbmm_"}
DROPPED_BITS = 13
"""Of float32's 23 bits of mantissa TF32 keeps 10."""


def rounded(values: Tensor) -> Tensor:
    """Round float32 numbers to 10 bits of mantissa."""
    half, mask = 1 << (DROPPED_BITS - 1), -(1 << DROPPED_BITS)
    return ((values.contiguous().view(torch.int32) + half) & mask).view(torch.float32)


class _RoundedProducts(TorchDispatchMode):
    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = func.overloadpacket.__name__  # type: ignore[attr-defined]
        if name in PRODUCTS and torch.backends.cuda.matmul.fp32_precision == "tf32":
            factors = 2 if name in {"mm", "bmm"} else 3
            args = (
                *args[: factors - 2],
                *(self._factor(x) for x in args[factors - 2 : factors]),
                *args[factors:],
            )
        return func(*args, **(kwargs or {}))

    @staticmethod
    def _factor(values: Tensor) -> Tensor:
        return rounded(values) if values.dtype == torch.float32 else values


@contextmanager
def emulated_tf32() -> Iterator[None]:
    """Set the float32 precision that most training code sets, and round the factors of products as a GPU then does."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        with _RoundedProducts():
            yield
        assert torch.get_float32_matmul_precision() == "high", "the setting of the caller was changed"
    finally:
        torch.set_float32_matmul_precision(before)
