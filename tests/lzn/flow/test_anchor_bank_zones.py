"""The anchor bank finds the zone of a latent, and allocates no tensor of states times anchors."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from lzn_testing.oracles.flow_problems import normal
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lzn.flow import AnchorBank, Euler, flow_to_anchors, nearest_anchor
from lzn.flow.row_blocks import MAX_ROWS_ON_CPU

N, Q = 60, 6


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_zones_equal_those_of_the_flow_to_all_anchors(dtype: torch.dtype):
    solver = Euler(num_steps=20)
    anchors, latents = (10.0 + 2.0 * normal(35, N, Q)).to(dtype), normal(36, 300, Q).to(dtype)
    owner = nearest_anchor(flow_to_anchors(latents, anchors, solver=solver).points, anchors)
    bank = AnchorBank(anchors, anchors_per_block=7)
    assert bool(bank.in_own_zone(latents, owner, solver=solver).all())
    assert not bool(bank.in_own_zone(latents, (owner + 1) % N, solver=solver).any())


def test_a_new_anchor_has_a_zone_between_the_banks_zones():
    """In one dimension, a third anchor at 0 between -2 and 2 has the middle third of the normal distribution."""
    bank = AnchorBank(torch.tensor([[-2.0], [2.0]], dtype=torch.float64))
    # The zone's boundaries are -0.4307 and 0.4307.
    latents = torch.tensor([[-0.44], [-0.42], [0.0], [0.42], [0.44]], dtype=torch.float64)
    inside = bank.in_own_zone(latents, torch.zeros_like(latents), solver=Euler(num_steps=500))
    assert inside.tolist() == [False, True, True, True, False]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_zone_centres_lie_in_their_own_zone_and_in_no_other(dtype: torch.dtype):
    solver = Euler(num_steps=500, g=1e-4)
    anchors = 3.0 * normal(31, N, Q).to(dtype)
    bank = AnchorBank(anchors, anchors_per_block=7)
    latents = bank.latents(slice(N), torch.zeros_like(anchors), alpha=0.0, solver=solver)
    # Centres of zones are farther from all boundaries than the solver's error.
    assert bool(bank.in_own_zone(latents, slice(N), solver=solver).all())
    assert not bool(bank.in_own_zone(latents, torch.arange(N).roll(1), solver=solver).any())


def test_duplicate_anchors_share_one_zone():
    solver = Euler(num_steps=200, g=1e-4)
    anchors = 3.0 * normal(32, 12, Q)
    bank = AnchorBank(torch.cat([anchors, anchors]))
    assert bool(
        bank.in_own_zone(bank.latents(slice(12), 0 * anchors, solver=solver), slice(12), solver=solver).all()
    )


class LargestTensor(TorchDispatchMode):
    """Record the largest number of elements of any tensor created inside."""

    def __init__(self) -> None:
        super().__init__()
        self.largest = 0

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor):
                self.largest = max(self.largest, tensor.untyped_storage().nbytes() // tensor.element_size())
        return out


@pytest.mark.parametrize("method", ["latents", "zones"])
def test_no_tensor_is_larger_than_a_block(method: str):
    n, m, q, anchors_per_block = 3000, 300, 4, 64
    anchors, noise = normal(25, n, q).float(), normal(26, m, q).float()
    bank = AnchorBank(anchors, anchors_per_block=anchors_per_block)
    with LargestTensor() as record:
        if method == "latents":
            bank.latents(slice(m), noise)
        else:
            bank.in_own_zone(noise, slice(m))
    block = MAX_ROWS_ON_CPU * anchors_per_block
    assert block <= record.largest  # the blocks are recorded
    assert record.largest <= max(block, n * q)  # the bank itself is (n, q)
    assert record.largest < m * n / 10
