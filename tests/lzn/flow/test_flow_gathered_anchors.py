"""Latent parallelism, in one process: parts of a batch, each among all anchors, equal the whole batch."""

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


def gradient_of_parts(anchors: Tensor, noise: Tensor, solver: Solver, *, num_parts: int) -> Tensor:
    """Run a backward pass for each part and sum the gradients of the gathered anchors."""
    total = torch.zeros_like(anchors)
    for rows in torch.arange(len(anchors)).chunk(num_parts):
        gathered = leaf(anchors, anchors.dtype)
        z = compute_latents(gathered, noise[rows], rows=rows, solver=solver)
        (0.5 * z.square().sum()).backward()
        total += gradient(gathered)
    return total


@pytest.mark.parametrize("num_parts", [2, 5])
@by_solver
def test_latents_of_parts_equal_those_of_the_whole_batch(solver: Solver, num_parts: int):
    anchors, noise = normal(1, N, Q).float(), normal(2, N, Q).float()
    parts = [
        compute_latents(anchors, noise[rows], rows=rows, solver=solver)
        for rows in torch.arange(N).chunk(num_parts)
    ]
    # Matrix products of other shapes are rounded differently, by a few ulp of float32.
    assert relative_error(torch.cat(parts), compute_latents(anchors, noise, solver=solver)) < 1e-5


@pytest.mark.parametrize("num_parts", [2, 5])
@by_solver
def test_parts_in_float32_have_the_gradient_of_the_whole_batch(solver: Solver, num_parts: int):
    anchors, noise = normal(1, N, Q).float(), normal(2, N, Q).float()
    whole = gradient_of_one_batch(anchors, noise, solver)
    parts = gradient_of_parts(anchors, noise, solver, num_parts=num_parts)
    # Measured 1e-6: rounding of the latents and of the sum over parts.
    assert relative_error(parts, whole) < 1e-5


@by_solver
def test_parts_in_float64_have_the_gradient_of_the_whole_batch(solver: Solver):
    anchors, noise = normal(1, N, Q), normal(2, N, Q)
    whole = gradient_of_one_batch(anchors, noise, solver)
    parts = gradient_of_parts(anchors, noise, solver, num_parts=3)
    assert relative_error(parts, whole) < 1e-9


@pytest.mark.parametrize("file", ["unit", "wide"])
def test_the_gradient_of_parts_in_float32_equals_the_reference(file: str):
    """Own anchors and keys as separate casts of float32 anchors had errors of 5e-4 (unit) and 4e-3 (wide)."""
    with np.load(PROJECT / "tests" / "reference" / f"flow_{file}.npz") as arrays:
        anchors, noise = (torch.as_tensor(arrays[key]).float() for key in ("anchors", "noise"))
        expected = torch.as_tensor(arrays["euler_grad"])
    # Measured at most 3e-6.
    assert relative_error(gradient_of_parts(anchors, noise, SOLVERS[0], num_parts=2), expected) < 1e-5
