"""Extreme anchors, mixed precision, and autograd."""

import math
from dataclasses import dataclass

import pytest
import torch
from lzn_testing.oracles import literal_flow
from lzn_testing.oracles.flow_problems import gradient, leaf, normal, positive, relative_error
from torch import Tensor

from lzn.flow import DPMSolver, Euler, Solver, alignment_loss, compute_latents, flow_to_anchors
from lzn.flow.precision import flush_subnormals_

SOLVERS = [Euler(num_steps=20, g=1e-4), DPMSolver(num_steps=20, g=1e-3)]
by_solver = pytest.mark.parametrize("solver", SOLVERS, ids=["euler", "dpm"])
by_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


@dataclass(frozen=True)
class Case:
    """Anchors (n, q), weights (n,) or None, and tolerances of float32 for values and gradients."""

    anchors: Tensor
    weights: Tensor | None
    value: float
    gradient: float


def weights_with_zeros(n: int) -> Tensor:
    weights = positive(0, n)
    weights[::3] = 0
    return weights


CASES = {
    "exact duplicates": Case(normal(1, 12, 6).repeat(2, 1), None, 1e-5, 1e-5),
    "all equal": Case(normal(2, 1, 6).repeat(24, 1), None, 1e-5, 1e-5),
    "tight and far from the origin": Case(1e3 + 1e-2 * normal(3, 24, 6), None, 1e-5, 1e-5),
    "near-duplicates": Case(normal(4, 6, 6).repeat(4, 1) + 1e-4 * normal(5, 24, 6), None, 1e-5, 1e-5),
    # At tau >= 0.3 states of size 1e3 are float32, which rounds latents of size 1 to 1e-4.
    "norm 1e3": Case(1e3 / math.sqrt(6) * normal(6, 24, 6), None, 1e-3, 1e-3),
    "one anchor": Case(normal(7, 1, 6), None, 1e-5, 1e-5),
    "weights with zeros": Case(normal(8, 24, 6), weights_with_zeros(24), 1e-5, 1e-5),
}
by_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


def samples_of(case: Case) -> Tensor:
    """Return the indices of the anchors of positive weight."""
    return (
        torch.ones(len(case.anchors)).nonzero()[:, 0]
        if case.weights is None
        else case.weights.nonzero()[:, 0]
    )


def batch_latents(case: Case, solver: Solver, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Compute latents of the case's anchors, and the gradient of their inner product with fixed numbers."""
    anchors, rows = leaf(case.anchors, dtype), samples_of(case)
    noise = normal(9, *anchors.shape)[rows].to(dtype)
    z = compute_latents(anchors, noise, rows=rows, weights=case.weights, solver=solver)
    (z * normal(10, *anchors.shape)[rows]).sum().backward()
    return z, gradient(anchors)


@by_dtype
@by_solver
@by_case
def test_latents_of_extreme_anchors_are_finite(case: Case, solver: Solver, dtype: torch.dtype):
    z, grad = batch_latents(case, solver, dtype)
    assert z.isfinite().all()
    assert grad.isfinite().all()


@by_solver
@by_case
def test_float32_latents_of_extreme_anchors_equal_the_formula(case: Case, solver: Solver):
    anchors, rows = leaf(case.anchors.float()), samples_of(case)
    noise = normal(9, *anchors.shape)[rows].float().double()
    expected = literal_flow.latents(anchors[rows], noise, solver, all_anchors=anchors, weights=case.weights)
    (expected * normal(10, *anchors.shape)[rows]).sum().backward()
    z, grad = batch_latents(case, solver, torch.float32)
    assert relative_error(z, expected) < case.value
    # The absolute part: for zones without neighbours (norm 1e3, one anchor) gradients are zero up to rounding.
    error = float((grad - gradient(anchors)).norm())
    assert error < case.gradient * float(gradient(anchors).norm()) + 1e-5


@by_dtype
@by_solver
@by_case
@pytest.mark.parametrize("log", [True, False])
def test_alignment_with_extreme_anchors_is_finite(case: Case, solver: Solver, log: bool, dtype: torch.dtype):
    latents, anchors = leaf(normal(11, 9, 6), dtype), leaf(case.anchors, dtype)
    n = len(anchors)
    # No target has weight zero: with the logarithm that raises an error.
    targets = (3 * torch.arange(9) + 1) % n if n > 1 else torch.zeros(9, dtype=torch.int64)
    loss = alignment_loss(
        latents, anchors, targets, weights=case.weights, solver=solver, num_skipped_steps=4, log=log
    ).loss
    loss.backward()
    assert loss.isfinite()
    assert gradient(latents).isfinite().all()
    assert gradient(anchors).isfinite().all()


def test_a_target_of_weight_zero_has_probability_zero_and_no_gradient():
    latents, anchors = leaf(normal(12, 4, 3)), leaf(normal(13, 5, 3))
    weights = torch.tensor([1.0, 0.0, 1.0, 1.0, 1.0])
    loss = alignment_loss(
        latents, anchors, torch.ones(4, dtype=torch.int64), weights=weights,
        solver=Euler(num_steps=10), num_skipped_steps=2, log=False,
    ).loss  # fmt: skip
    loss.backward()
    assert loss == 0
    assert torch.equal(gradient(latents), torch.zeros_like(latents))
    assert torch.equal(gradient(anchors), torch.zeros_like(anchors))


@by_solver
def test_the_flow_does_not_depend_on_autocast(solver: Solver):
    targets = torch.arange(10)

    def loss_and_gradient(enabled: bool) -> tuple[Tensor, Tensor]:
        anchors = leaf(normal(14, 10, 4), torch.float32)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            z = compute_latents(anchors, normal(15, 10, 4).float(), solver=solver)
            loss = alignment_loss(z, anchors, targets, solver=solver, num_skipped_steps=4, log=True).loss
            loss.backward()
        return loss.detach(), gradient(anchors)

    # The same operations in the same order: bit for bit.
    for inside, outside in zip(loss_and_gradient(True), loss_and_gradient(False), strict=True):
        assert torch.equal(inside, outside)


@pytest.mark.parametrize("low", [torch.bfloat16, torch.float16])
@by_solver
def test_half_precision_inputs_are_computed_in_float32(solver: Solver, low: torch.dtype):
    anchors, noise = leaf(normal(16, 10, 4), low), normal(17, 10, 4).to(low)
    z = compute_latents(anchors, noise, solver=solver)
    exact = compute_latents(anchors.detach().float(), noise.float(), solver=solver)
    assert torch.equal(z, exact)
    z.square().sum().backward()
    assert gradient(anchors).dtype == low
    assert gradient(anchors).isfinite().all()
    result = flow_to_anchors(noise, anchors, targets=torch.arange(10), solver=solver)
    assert result.target_log_probability is not None
    assert result.points.dtype == result.target_log_probability.dtype == torch.float32


def test_the_dtype_of_noise_or_latents_decides_the_precision():
    anchors, noise = normal(18, 10, 4), normal(19, 10, 4)
    assert compute_latents(anchors, noise.float()).dtype == torch.float32
    assert compute_latents(anchors.float(), noise).dtype == torch.float64
    assert flow_to_anchors(noise.float(), anchors).points.dtype == torch.float32
    assert flow_to_anchors(noise, anchors.float()).points.dtype == torch.float64


def test_inputs_are_not_changed():
    anchors, noise, weights = normal(20, 10, 4), normal(21, 10, 4), positive(22, 10)
    copies = anchors.clone(), noise.clone(), weights.clone()
    leaf_anchors = anchors.requires_grad_()
    z = compute_latents(leaf_anchors, noise, weights=weights)
    flow_to_anchors(z, leaf_anchors, weights=weights, targets=torch.arange(10)).points.sum().backward()
    for given, copy in zip((anchors.detach(), noise, weights), copies, strict=True):
        assert torch.equal(given, copy)


def test_a_second_derivative_raises():
    anchors = leaf(normal(23, 5, 3))
    z = compute_latents(anchors, normal(24, 5, 3))
    with pytest.raises(RuntimeError, match="first derivatives"):
        torch.autograd.grad(z.square().sum(), anchors, create_graph=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_subnormal_probabilities_are_set_to_zero_and_others_are_unchanged(dtype: torch.dtype):
    smallest_normal = torch.finfo(dtype).tiny
    before = torch.tensor([1.0, 1e-20, smallest_normal, smallest_normal / 8, 0.0], dtype=dtype)
    after = flush_subnormals_(before.clone())
    assert after[:2].tolist() == before[:2].tolist()
    assert after[2:].tolist() == [0.0, 0.0, 0.0]
