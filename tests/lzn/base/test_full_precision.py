"""`full_precision`: no autocast and no reduced float32 products inside; the settings of the caller after it."""

import pytest
import torch
from lzn_testing.emulated_tf32 import emulated_tf32, rounded

from lzn.base.full_precision import full_precision

CPU = torch.device("cpu")


def settings() -> tuple[str, str, bool]:
    return (
        torch.backends.cuda.matmul.fp32_precision,
        torch.backends.mkldnn.matmul.fp32_precision,
        torch.is_autocast_enabled("cpu"),
    )


@pytest.mark.parametrize("precision", ["highest", "high", "medium"])
def test_products_are_full_float32_inside_and_as_before_outside(precision: str) -> None:
    torch.set_float32_matmul_precision(precision)
    try:
        with torch.autocast("cpu", torch.bfloat16):
            before = settings()
            with full_precision(CPU):
                assert settings() == ("ieee", "ieee", False)
            assert settings() == before
            with pytest.raises(KeyError), full_precision(CPU):
                raise KeyError
            assert settings() == before
        assert torch.get_float32_matmul_precision() == precision
    finally:
        torch.set_float32_matmul_precision("highest")


def test_it_allows_devices_without_autocast() -> None:
    with full_precision(torch.device("meta")):
        assert torch.zeros(2, 3, device="meta").shape == (2, 3)


def test_emulated_products_round_their_factors_to_ten_bits_outside_only() -> None:
    a = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    exact = a @ a.T
    with emulated_tf32():
        assert torch.equal(a @ a.T, rounded(a) @ rounded(a).T)
        with full_precision(CPU):
            assert torch.equal(a @ a.T, exact)
    assert 1e-5 < (rounded(a) - a).abs().max() / a.abs().max() < 2**-10
