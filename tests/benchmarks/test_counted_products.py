"""The ratio to the bare matrix products is honest: what is counted is what is done."""

from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.latents import EULER
from benchmarks.literal import noise_levels
from benchmarks.measuring import backward
from benchmarks.products import Products, count_straight_steps, products_of_latents, time_products
from lzn.flow import compute_latents

N, Q = 300, 200


def problem(scale: float) -> tuple[torch.Tensor, torch.Tensor]:
    anchors, noise = torch.randn(2, N, Q, generator=torch.Generator().manual_seed(0))
    return (scale * anchors).requires_grad_(), noise


def operations_of_in_place_addmm(self: Any, a: Any, b: Any, **kwargs: Any) -> int:
    return 2 * int(a[0] * a[1] * b[1])


def products_done(anchors: torch.Tensor, noise: torch.Tensor) -> float:
    mapping = {torch.ops.aten.addmm_: operations_of_in_place_addmm}
    with FlopCounterMode(display=False, custom_mapping=mapping) as counter:
        backward(compute_latents(anchors, noise, solver=EULER).square().sum())
    return counter.get_total_flops() / (2 * N * N * Q)


@pytest.mark.parametrize("scale", [1.0, 0.1])
def test_no_more_products_are_counted_than_the_flow_does(scale: float):
    anchors, noise = problem(scale)
    levels = noise_levels(EULER, towards_anchors=False)
    counted = products_of_latents(levels, count_straight_steps(anchors, noise, levels))
    assert counted.total <= products_done(anchors, noise) + 1e-9


def test_unit_anchors_start_straight_and_close_ones_soon_bend():
    levels = noise_levels(EULER, towards_anchors=False)
    straight = [count_straight_steps(*problem(scale), levels) for scale in (1.0, 0.1)]
    # 20 apart, gaps reach 64 at t^2 400 / (2 tau^2) = 64, tau = 0.6; 2 apart, at tau = 0.15.
    assert 5 < straight[0] < 14
    assert straight[1] < 4


def test_evaluated_steps_are_counted_by_their_precision():
    levels = noise_levels(EULER, towards_anchors=False)
    assert products_of_latents(levels, 0) == Products(start=2, early=6, late=14)
    assert products_of_latents(levels, 8) == Products(start=2, early=0, late=12)
    assert products_of_latents(levels, 8).total == 2 + 7 * 12


def test_products_alone_are_those_that_were_counted():
    products = Products(start=3, early=1, late=2)
    with FlopCounterMode(display=False) as counter:
        cost = time_products(N, Q, products)
    # The warm-up does one evaluated step in each precision.
    done = products.total * cost.num_repetitions + 2 * 7
    assert counter.get_total_flops() == done * 2 * N * N * Q
