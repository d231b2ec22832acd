"""Invalid inputs raise a ValueError that names the input."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from lzn.flow import (
    DPMSolver,
    Euler,
    NonFiniteAnchorsError,
    alignment_loss,
    alignment_objective,
    compute_latents,
    flow_to_anchors,
    nearest_anchor,
)

ANCHORS = torch.arange(15.0).reshape(5, 3)
NOISE = torch.ones(5, 3)
LATENTS = torch.ones(4, 3)
TARGETS = torch.tensor([0, 1, 2, 4])
WITH_NAN = ANCHORS.clone().index_fill_(0, torch.tensor([2]), math.nan)
WITH_INFINITY = ANCHORS.clone().index_fill_(0, torch.tensor([2]), math.inf)

BAD_WEIGHTS = [
    (torch.ones(4), r"weights must have shape \(5,\)"),
    (torch.ones(5, 1), r"weights must have shape \(5,\)"),
    (torch.tensor([1.0, 1.0, -0.5, 1.0, 1.0]), "weights must not be negative, the smallest is -0.5"),
    (torch.zeros(5), "weights sum to zero"),
    (torch.tensor([1.0, math.nan, 1.0, 1.0, 1.0]), "weights hold NaN or infinity"),
    (torch.tensor([1.0, math.inf, 1.0, 1.0, 1.0]), "weights hold NaN or infinity"),
]
BAD_TARGETS = [
    (TARGETS.int(), "targets must be int64"),
    (TARGETS[:3], r"targets must be int64 of shape \(4,\)"),
    (torch.tensor([0, 1, 2, 5]), r"targets must lie in \[0, 5\)"),
    (torch.tensor([0, 1, 2, -1]), r"targets must lie in \[0, 5\)"),
]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"anchors": ANCHORS[0]}, r"anchors must be a floating-point tensor \(rows, q\)"),
        ({"anchors": ANCHORS.long()}, "anchors must be a floating-point tensor"),
        ({"anchors": ANCHORS[:0]}, "anchors must be a floating-point tensor .* with at least one row"),
        ({"noise": NOISE[:, :2]}, "noise must have 3 columns"),
        ({"noise": NOISE[:4]}, "noise must have one row for each of the 5 samples, got 4"),
        ({"noise": NOISE.long()}, "noise must be a floating-point tensor"),
        ({"alpha": 1.5}, r"alpha must lie in \[0, 1\], got 1.5"),
        ({"alpha": -0.1}, r"alpha must lie in \[0, 1\]"),
        ({"alpha": math.nan}, r"alpha must lie in \[0, 1\]"),
        *(({"weights": weights}, message) for weights, message in BAD_WEIGHTS),
    ],
)
def test_compute_latents_names_the_invalid_input(changes: dict[str, Any], message: str):
    arguments: dict[str, Any] = {"anchors": ANCHORS, "noise": NOISE, **changes}
    with pytest.raises(ValueError, match=f"^{message}"):
        compute_latents(arguments.pop("anchors"), arguments.pop("noise"), **arguments)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"latents": LATENTS[0]}, "latents must be a floating-point tensor"),
        ({"latents": LATENTS[:, :2]}, "latents must have 3 columns"),
        ({"anchors": ANCHORS[0]}, "anchors must be a floating-point tensor"),
        *(({"weights": weights}, message) for weights, message in BAD_WEIGHTS),
        *(({"targets": targets}, message) for targets, message in BAD_TARGETS),
    ],
)
def test_flow_to_anchors_names_the_invalid_input(changes: dict[str, Any], message: str):
    arguments: dict[str, Any] = {"latents": LATENTS, "anchors": ANCHORS, **changes}
    with pytest.raises(ValueError, match=f"^{message}"):
        flow_to_anchors(arguments.pop("latents"), arguments.pop("anchors"), **arguments)


@pytest.mark.parametrize("log", [True, False])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        *(({"weights": weights}, message) for weights, message in BAD_WEIGHTS),
        *(({"targets": targets}, message) for targets, message in BAD_TARGETS),
        ({"latents": LATENTS[:, :2]}, "latents must have 3 columns"),
        ({"num_skipped_steps": 10}, r"num_skipped_steps must lie in \[0, 10\), got 10"),
        ({"num_skipped_steps": -1}, r"num_skipped_steps must lie in \[0, 10\), got -1"),
    ],
)
def test_alignment_loss_names_the_invalid_input(changes: dict[str, Any], message: str, log: bool):
    arguments: dict[str, Any] = {
        "latents": LATENTS,
        "anchors": ANCHORS,
        "targets": TARGETS,
        "num_skipped_steps": 2,
        **changes,
    }
    latents, anchors, targets = (arguments.pop(name) for name in ("latents", "anchors", "targets"))
    with pytest.raises(ValueError, match=f"^{message}"):
        alignment_loss(latents, anchors, targets, solver=Euler(num_steps=10), log=log, **arguments)


def test_the_logarithm_for_a_target_of_weight_zero_raises():
    weights = torch.tensor([1.0, 0.0, 1.0, 1.0, 1.0])
    with pytest.raises(ValueError, match="target anchor has weight zero"):
        alignment_loss(
            LATENTS, ANCHORS, TARGETS, weights=weights, solver=Euler(), num_skipped_steps=4, log=True
        )


def test_an_objective_without_steps_raises():
    with pytest.raises(ValueError, match="num_skipped_steps"):
        alignment_objective(torch.zeros(0, 3), num_skipped_steps=0, log=True)


@pytest.mark.parametrize("anchors", [WITH_NAN, WITH_INFINITY], ids=["NaN", "infinity"])
def test_non_finite_anchors_raise_their_own_error(anchors: Tensor):
    assert issubclass(NonFiniteAnchorsError, ValueError)
    with pytest.raises(NonFiniteAnchorsError, match=r"^anchors hold NaN or infinity"):
        compute_latents(anchors, NOISE)
    with pytest.raises(NonFiniteAnchorsError, match=r"^anchors hold NaN or infinity"):
        compute_latents(anchors, NOISE[:1], rows=slice(1))
    with pytest.raises(NonFiniteAnchorsError, match=r"^anchors hold NaN or infinity"):
        flow_to_anchors(LATENTS, anchors)
    with pytest.raises(NonFiniteAnchorsError, match=r"^anchors hold NaN or infinity"):
        nearest_anchor(LATENTS, anchors)


def test_nearest_anchor_names_the_invalid_input():
    with pytest.raises(ValueError, match=r"^points must have 3 columns"):
        nearest_anchor(LATENTS[:, :2], ANCHORS)
    with pytest.raises(ValueError, match=r"^points must be a floating-point tensor"):
        nearest_anchor(LATENTS[0], ANCHORS)


@pytest.mark.parametrize("solver", [Euler, DPMSolver])
def test_solvers_without_a_valid_grid_raise(solver: type[Euler | DPMSolver]):
    with pytest.raises(ValueError, match="num_steps must be at least 1, got 0"):
        solver(num_steps=0)
    for g in (0.0, -1e-3, 1.0, math.nan):
        with pytest.raises(ValueError, match="g must lie strictly between 0 and"):
            solver(g=g)


def test_a_dpm_solver_that_ends_before_it_starts_raises():
    # Its grid is from g to 1 - g.
    with pytest.raises(ValueError, match=r"g must lie strictly between 0 and 0\.5, got 0\.5"):
        DPMSolver(g=0.5)
    assert Euler(g=0.5).g == 0.5
