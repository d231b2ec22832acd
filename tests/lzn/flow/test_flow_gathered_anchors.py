"""Latent parallelism without processes: parts of a batch, each against all anchors, act as the whole batch."""

import numpy as np
import pytest
import torch
from lzn_testing import PROJECT
from lzn_testing.oracles.flow_problems import gradient, leaf, normal, relative_error
from torch import Tensor

from lzn.flow import DPMSolver, Euler, Solver, compute_latents

SOLVERS = [Euler(num_steps=20, g=1e-4), DPMSolver(num_steps=20, g=1e-3)]
by_solver = pytest.mark.parametrize("solver", SOLVERS, ids=["euler", "dpm"])
N, Q = 48, 8


def gradient_of_one_batch(anchors: Tensor, noise: Tensor, solver: Solver) -> Tensor:
    anchors = leaf(anchors, anchors.dtype)
    (0.5 * compute_latents(anchors, noise, solver=solver).square().sum()).backward()
    return gradient(anchors)


def gradient_of_parts(
    anchors: Tensor, noise: Tensor, solver: Solver, *, num_parts: int, base: torch.dtype
) -> Tensor:
    """Each part's own loss and backward pass, its gradients in the gathered anchors added as a reduction would."""
    total = torch.zeros_like(anchors)
    for rows in torch.arange(len(anchors)).chunk(num_parts):
        gathered = leaf(anchors, anchors.dtype)
        everyone = gathered.to(base)
        z = compute_latents(everyone[rows], noise[rows], all_anchors=everyone, solver=solver)
        (0.5 * z.square().sum()).backward()
        total += gradient(gathered)
    return total


@pytest.mark.parametrize("num_parts", [2, 5])
@by_solver
def test_parts_have_the_latents_of_the_whole_batch(solver: Solver, num_parts: int):
    anchors, noise = normal(1, N, Q).float(), normal(2, N, Q).float()
    parts = [
        compute_latents(anchors[rows], noise[rows], all_anchors=anchors, solver=solver)
        for rows in torch.arange(N).chunk(num_parts)
    ]
    # Products of other shapes are rounded differently: a few ulp of float32.
    assert relative_error(torch.cat(parts), compute_latents(anchors, noise, solver=solver)) < 1e-5


@pytest.mark.parametrize("num_parts", [2, 5])
@by_solver
def test_slices_of_float64_anchors_have_the_gradients_of_the_whole_batch(solver: Solver, num_parts: int):
    anchors, noise = normal(1, N, Q).float(), normal(2, N, Q).float()
    whole = gradient_of_one_batch(anchors, noise, solver)
    parts = gradient_of_parts(anchors, noise, solver, num_parts=num_parts, base=torch.float64)
    # Measured 1e-6: the rounding of the latents, and of the sum over parts.
    assert relative_error(parts, whole) < 1e-5


@by_solver
def test_float64_parts_have_the_gradients_of_the_whole_batch(solver: Solver):
    anchors, noise = normal(1, N, Q), normal(2, N, Q)
    whole = gradient_of_one_batch(anchors, noise, solver)
    parts = gradient_of_parts(anchors, noise, solver, num_parts=3, base=torch.float64)
    assert relative_error(parts, whole) < 1e-9


@pytest.mark.parametrize("file", ["unit", "wide"])
def test_separate_casts_of_float32_anchors_lose_digits_that_slices_keep(file: str):
    """An anchor's gradients as a starting point and as a key cancel; float32 must not come between them."""
    with np.load(PROJECT / "tests" / "reference" / f"flow_{file}.npz") as arrays:
        anchors, noise = (torch.as_tensor(arrays[key]).float() for key in ("anchors", "noise"))
        expected = torch.as_tensor(arrays["euler_grad"])
    separate = gradient_of_parts(anchors, noise, SOLVERS[0], num_parts=2, base=torch.float32)
    sliced = gradient_of_parts(anchors, noise, SOLVERS[0], num_parts=2, base=torch.float64)
    # Measured 5e-4 (unit) and 4e-3 (wide) against 3e-6 at most: a factor of 300 and more.
    assert relative_error(sliced, expected) < 1e-5
    assert relative_error(separate, expected) > 10 * relative_error(sliced, expected)
