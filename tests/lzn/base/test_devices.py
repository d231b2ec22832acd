"""Constants on a device, made without a copy from the CPU."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from lzn.base.devices import constant


class CopiesAreErrors(TorchDispatchMode):
    """Raise an error for copies of tensors: from the CPU to a device they wait for the device."""

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        assert func.overloadpacket.__name__ not in {"_to_copy", "copy_", "lift_fresh", "_local_scalar_dense"}  # type: ignore[attr-defined]
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_constants_have_their_values_and_are_filled_on_the_device(dtype: torch.dtype) -> None:
    values = (0.1, -2.5, 3.0, float("inf"))
    constant.cache_clear()
    with CopiesAreErrors():
        found = constant(values, dtype=dtype, device=torch.device("cpu"))
    assert torch.equal(found, torch.tensor(values, dtype=dtype))
    assert constant(values, dtype=dtype, device=torch.device("cpu")) is found


def test_constants_made_in_inference_mode_can_be_used_in_training() -> None:
    constant.cache_clear()
    with torch.inference_mode():
        found = constant((1.0, 2.0), dtype=torch.float32, device=torch.device("cpu"))
    x = torch.ones(2, requires_grad=True)
    (x * found).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [1.0, 2.0]
