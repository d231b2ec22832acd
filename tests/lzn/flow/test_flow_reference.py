"""The flow equals the released implementation: values, losses, predictions and gradients."""

import numpy as np
import pytest
import torch
from lzn_testing import PROJECT
from lzn_testing.oracles.flow_problems import gradient, leaf, relative_error
from torch import Tensor

from lzn.flow import (
    DPMSolver,
    Euler,
    Solver,
    alignment_loss,
    compute_latents,
    flow_to_anchors,
    nearest_anchor,
)

REFERENCE = PROJECT / "tests" / "reference"
FILES = ["unit", "wide", "tight", "clusters"]
DTYPES = [torch.float32, torch.float64]
EULER = Euler(num_steps=20, g=1e-4)
LABEL_EULER = Euler(num_steps=100, g=1e-4)

# The project's tolerances. The float64 reference has rounding errors of about 1e-11, from the first step's factor 1/g.
VALUE = {torch.float32: 1e-4, torch.float64: 1e-9}
GRADIENT = {torch.float32: 1e-3, torch.float64: 1e-9}


def load(file: str) -> dict[str, Tensor]:
    with np.load(REFERENCE / f"flow_{file}.npz") as arrays:
        return {key: torch.as_tensor(array) for key, array in arrays.items()}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("kind", "solver"), [("euler", EULER), ("dpm", DPMSolver(num_steps=20, g=1e-3))], ids=["euler", "dpm"]
)
@pytest.mark.parametrize("file", FILES)
def test_latents_and_their_gradient_equal_the_release(
    file: str, kind: str, solver: Solver, dtype: torch.dtype
):
    given = load(file)
    anchors = leaf(given["anchors"], dtype)
    z = compute_latents(anchors, given["noise"].to(dtype), solver=solver)
    (0.5 * z.square().sum()).backward()
    assert z.dtype == dtype
    assert relative_error(z, given[f"{kind}_latents"]) < VALUE[dtype]
    assert relative_error(gradient(anchors), given[f"{kind}_grad"]) < GRADIENT[dtype]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("kind", "alpha", "log"), [("align_log", 0.45, True), ("align", 1.0, False)])
@pytest.mark.parametrize("file", FILES)
def test_alignment_of_two_views_equals_the_release(
    file: str, kind: str, alpha: float, log: bool, dtype: torch.dtype
):
    given = load(file)
    view_1, view_2 = leaf(given["anchors"], dtype), leaf(given["anchors_view2"], dtype)
    targets = torch.arange(len(view_1))
    z = compute_latents(view_1, given["noise"].to(dtype), alpha=alpha, solver=EULER)
    loss = alignment_loss(z, view_2, targets, solver=EULER, num_skipped_steps=4, log=log).loss
    loss.backward()
    result = flow_to_anchors(z, view_2, targets=targets, solver=EULER)
    assert relative_error(loss, given[f"{kind}_loss"]) < VALUE[dtype]
    probability = largest_probability(result.target_log_probability, 4)
    assert relative_error(probability, given[f"{kind}_max_prob"]) < VALUE[dtype]
    assert relative_error(result.points, given[f"{kind}_final"]) < VALUE[dtype]
    assert relative_error(gradient(view_1), given[f"{kind}_grad_view1"]) < GRADIENT[dtype]
    assert relative_error(gradient(view_2), given[f"{kind}_grad_view2"]) < GRADIENT[dtype]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["label", "label_uniform"])
@pytest.mark.parametrize("file", FILES)
def test_alignment_with_labels_equals_the_release(file: str, kind: str, dtype: torch.dtype):
    given = load(file)
    z, label_anchors = leaf(given["label_latents"], dtype), leaf(given["label_anchors"], dtype)
    weights = given["class_weights"].to(dtype) if kind == "label" else None
    labels = given["labels"]
    loss = alignment_loss(
        z, label_anchors, labels, weights=weights, solver=LABEL_EULER, num_skipped_steps=20, log=False
    ).loss
    loss.backward()
    result = flow_to_anchors(z, label_anchors, weights=weights, targets=labels, solver=LABEL_EULER)
    probability = largest_probability(result.target_log_probability, 20)
    assert relative_error(loss, given[f"{kind}_loss"]) < VALUE[dtype]
    assert relative_error(probability, given[f"{kind}_max_prob"]) < VALUE[dtype]
    assert relative_error(result.points, given[f"{kind}_final"]) < VALUE[dtype]
    assert torch.equal(nearest_anchor(result.points, label_anchors), given[f"{kind}_pred"])
    assert relative_error(gradient(z), given[f"{kind}_grad_latents"]) < GRADIENT[dtype]
    assert relative_error(gradient(label_anchors), given[f"{kind}_grad_label_anchors"]) < GRADIENT[dtype]


def largest_probability(target_log_probability: Tensor | None, num_skipped_steps: int) -> Tensor:
    assert target_log_probability is not None
    return target_log_probability[num_skipped_steps:].max(dim=0).values.exp()
