"""`rows` of `compute_latents`: the latents of some samples, each among all anchors."""

import math
from typing import Any

import pytest
import torch
from lzn_testing.oracles.flow_problems import gradient, leaf, normal, positive, relative_error
from torch import Tensor

from lzn.flow import DPMSolver, Euler, Solver, compute_latents

N, Q = 40, 6
ANCHORS, NOISE = normal(1, N, Q).float(), normal(2, N, Q).float()
SOLVERS = [Euler(num_steps=20, g=1e-4), DPMSolver(num_steps=20, g=1e-3)]
by_solver = pytest.mark.parametrize("solver", SOLVERS, ids=["euler", "dpm"])

MASK = torch.arange(N) % 3 == 1
ROWS: dict[str, Any] = {
    "all": None,
    "slice": slice(8, 21),
    "slice with a step": slice(None, -3, 4),
    "indices": torch.tensor([30, 2, 2, 17]),
    "mask": MASK,
}
by_rows = pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS.keys())


def taken(values: Tensor, rows: Any) -> Tensor:
    return values if rows is None else values[rows]


@by_solver
@by_rows
def test_latents_of_rows_equal_those_rows_of_the_latents_of_all_anchors(rows: Any, solver: Solver) -> None:
    weights = positive(3, N)
    z = compute_latents(ANCHORS, taken(NOISE, rows), rows=rows, weights=weights, solver=solver)
    expected = taken(compute_latents(ANCHORS, NOISE, weights=weights, solver=solver), rows)
    # Matrix products of other shapes are rounded differently, by a few ulp of float32.
    assert relative_error(z, expected) < 1e-5


@by_solver
@by_rows
def test_gradients_of_rows_equal_those_of_the_latents_of_all_anchors(rows: Any, solver: Solver) -> None:
    cotangent = taken(normal(4, N, Q), rows)
    some, every = leaf(ANCHORS, torch.float32), leaf(ANCHORS, torch.float32)
    (compute_latents(some, taken(NOISE, rows), rows=rows, solver=solver) * cotangent).sum().backward()
    (taken(compute_latents(every, NOISE, solver=solver), rows) * cotangent).sum().backward()
    # Measured 2e-6: an anchor's gradients as a starting point and as a key meet in float64.
    assert relative_error(gradient(some), gradient(every)) < 1e-5


@by_solver
@pytest.mark.parametrize("scale", [1.0, 5.0])
def test_rounding_all_anchors_to_bfloat16_moves_latents_by_about_their_rounding(
    solver: Solver, scale: float
) -> None:
    """With own anchors and keys as two tensors, one of them rounded, the error was 243."""
    anchors = scale * normal(5, 128, 16)
    noise, rows = normal(6, 128, 16), slice(16, 48)
    exact = compute_latents(anchors, noise[rows], rows=rows, solver=solver)
    rounded = compute_latents(anchors.bfloat16(), noise[rows], rows=rows, solver=solver)
    # bfloat16 rounds to 2**-9; latents have unit scale, and the flow from the anchors contracts.
    assert relative_error(rounded, exact) < 4 * 2**-9 * scale


def test_latents_have_the_norm_of_normal_numbers_for_any_rows() -> None:
    """Samples that were no rows of all anchors had latents of norm 177 000."""
    anchors, noise = normal(7, 256, 200).float(), normal(8, 32, 200).float()
    norms = compute_latents(anchors, noise, rows=slice(64, 96)).norm(dim=1)
    assert ((norms - math.sqrt(200)).abs() < 4).all()  # standard deviation of the norm: 0.7


def test_samples_that_are_no_anchors_cannot_be_given() -> None:
    with pytest.raises(TypeError, match="all_anchors"):
        compute_latents(ANCHORS[:4], NOISE[:4], all_anchors=ANCHORS[4:])  # type: ignore[call-arg]


@pytest.mark.parametrize("rows", [None, slice(3, 5), torch.tensor([9, 4]), torch.arange(N) == 4])
def test_a_sample_of_weight_zero_is_an_error(rows: Any) -> None:
    weights = positive(9, N)
    weights[4] = 0
    with pytest.raises(ValueError, match=r"anchor 4 has weight zero: it has no zone"):
        compute_latents(ANCHORS, taken(NOISE, rows), rows=rows, weights=weights)


def test_weight_zero_of_anchors_that_are_no_samples_is_not_an_error() -> None:
    weights = positive(9, N)
    weights[4] = 0
    z = compute_latents(ANCHORS, NOISE[5:], rows=slice(5, None), weights=weights)
    present = torch.cat([ANCHORS[:4], ANCHORS[5:]])
    without = compute_latents(
        present, NOISE[5:], rows=slice(4, None), weights=torch.cat([weights[:4], weights[5:]])
    )
    assert relative_error(z, without) < 1e-5


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (slice(0, 3), r"noise must have one row for each of the 3 samples, got 40"),
        (slice(0, 0), r"rows must choose at least one of the 40 anchors"),
        (torch.tensor([0, N]), r"rows must lie in \[0, 40\)"),
        (torch.tensor([0, -1]), r"rows must lie in \[0, 40\)"),
        (torch.tensor([0.0, 1.0]), r"rows must be a slice, int64 indices \(m,\) or a bool mask \(40,\)"),
        (torch.tensor(3), r"rows must be a slice, int64 indices"),
        (MASK[:5], r"rows must be a slice, int64 indices \(m,\) or a bool mask \(40,\)"),
        (MASK, r"noise must have one row for each of the 13 samples, got 40"),
        (torch.zeros(N, dtype=torch.bool), r"rows must choose at least one of the 40 anchors"),
        (7, r"rows must be a slice, int64 indices"),
    ],
)
def test_invalid_rows_are_an_error(rows: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        compute_latents(ANCHORS, NOISE, rows=rows)


@by_rows
def test_rows_read_no_value_of_another_device(rows: Any) -> None:
    anchors = torch.empty(N, Q, device="meta", requires_grad=True)
    chosen = rows.to("meta") if isinstance(rows, Tensor) else rows
    noise = torch.empty(len(taken(NOISE, rows)), Q, device="meta")
    z = compute_latents(anchors, noise, rows=chosen, weights=torch.ones(N, device="meta"))
    z.sum().backward()
    assert gradient(anchors).shape == (N, Q)
    assert z.shape == noise.shape
