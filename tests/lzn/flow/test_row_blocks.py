"""The flow's blocks of rows: as large as a byte budget allows, and without effect on results."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from lzn_testing.oracles.flow_problems import gradient, leaf, normal, relative_error
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from lzn.flow import AnchorBank, Euler, alignment_loss, compute_latents, nearest_anchor, row_blocks

VIEWS = {"detach", "t", "transpose", "slice", "select", "expand", "view", "alias", "unsqueeze", "split"}


class KernelCounter(TorchDispatchMode):
    """Count the operations that start a kernel on a GPU."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.count += func.overloadpacket.__name__ not in VIEWS  # type: ignore[attr-defined]
        return func(*args, **(kwargs or {}))


def test_latents_of_8192_samples_take_about_1200_kernels_on_a_gpu() -> None:
    """With blocks of 256 rows they took 15 000."""
    anchors = torch.empty(8192, 200, device="meta", requires_grad=True)
    with KernelCounter() as kernels:
        compute_latents(anchors, torch.empty(8192, 200, device="meta"), solver=Euler(20)).sum().backward()
    assert kernels.count < 1500


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("num_columns", [10, 8192, 300_000, 100_000_000])
def test_a_block_is_within_the_budget_or_one_row(device: str, num_columns: int) -> None:
    blocks = list(
        row_blocks.row_blocks(1000, num_columns=num_columns, dtype=torch.float64, device=torch.device(device))
    )
    sizes = [len(range(1000)[rows]) for rows in blocks]
    assert sum(sizes) == 1000
    assert max(sizes) == 1 or max(sizes) * num_columns * 8 <= row_blocks.BLOCK_BYTES


def latents(anchors: Tensor) -> Tensor:
    return compute_latents(anchors, normal(1, 50, 6)).square().sum()


def alignment(anchors: Tensor) -> Tensor:
    return alignment_loss(
        normal(2, 50, 6), anchors, torch.arange(50), solver=Euler(), num_skipped_steps=4, log=True
    ).loss


@pytest.mark.parametrize("rows", [1, 7, 49])
@pytest.mark.parametrize("operation", [latents, alignment])
def test_smaller_blocks_change_results_by_rounding_only(
    operation: Callable[[Tensor], Tensor], rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for budget in (row_blocks.BLOCK_BYTES, rows * 50 * 8):
        monkeypatch.setattr(row_blocks, "BLOCK_BYTES", budget)
        anchors = leaf(normal(0, 50, 6))
        value = operation(anchors)
        value.backward()
        found.append((value.detach(), gradient(anchors)))
    # float64 rounding times the factor 1/g of the first steps.
    assert relative_error(found[1][0], found[0][0]) < 1e-10
    assert relative_error(found[1][1], found[0][1]) < 1e-9


def test_smaller_blocks_change_no_nearest_anchor_and_no_zone_of_a_bank(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    anchors, points = normal(3, 40, 6), normal(4, 100, 6)
    bank = AnchorBank(anchors)
    nearest, latents_of_bank = nearest_anchor(points, anchors), bank.latents(points, points)
    monkeypatch.setattr(row_blocks, "BLOCK_BYTES", 5 * 40 * 8)
    assert torch.equal(nearest_anchor(points, anchors), nearest)
    assert relative_error(bank.latents(points, points), latents_of_bank) < 1e-10
