"""TF32 has no effect inside the flow: values and gradients are those of full float32, bit for bit."""

from collections.abc import Callable

import pytest
import torch
from lzn_testing.emulated_tf32 import emulated_tf32
from lzn_testing.oracles.flow_problems import gradient, leaf, normal
from torch import Tensor

from lzn.flow import AnchorBank, DPMSolver, Euler, Solver, alignment_loss, compute_latents, flow_to_anchors

N, Q = 32, 8
SOLVERS = [Euler(num_steps=20), DPMSolver(num_steps=20)]
by_solver = pytest.mark.parametrize("solver", SOLVERS, ids=["euler", "dpm"])
Flow = Callable[[Tensor, Tensor, Solver], Tensor]


def latents(anchors: Tensor, noise: Tensor, solver: Solver) -> Tensor:
    return compute_latents(anchors, noise, solver=solver)


def end_points(anchors: Tensor, noise: Tensor, solver: Solver) -> Tensor:
    return flow_to_anchors(noise, anchors, solver=solver).points


def alignment(anchors: Tensor, noise: Tensor, solver: Solver) -> Tensor:
    return alignment_loss(noise, anchors, torch.arange(N), solver=solver, num_skipped_steps=4, log=True).loss


def alignment_with_few_anchors(anchors: Tensor, noise: Tensor, solver: Solver) -> Tensor:
    targets = torch.arange(N) % 3
    return alignment_loss(noise, anchors[:3], targets, solver=solver, num_skipped_steps=4, log=True).loss


def results(flow: Flow, solver: Solver) -> list[Tensor]:
    anchors, noise = leaf(5 * normal(0, N, Q), torch.float32), leaf(normal(1, N, Q), torch.float32)
    value = flow(anchors, noise, solver)
    value.square().sum().backward()
    return [value.detach(), gradient(anchors), gradient(noise)]


@by_solver
@pytest.mark.parametrize("flow", [latents, end_points, alignment, alignment_with_few_anchors])
def test_tf32_changes_no_value_or_gradient(flow: Flow, solver: Solver) -> None:
    expected = results(flow, solver)
    with emulated_tf32():
        found = results(flow, solver)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@by_solver
def test_tf32_changes_no_latent_of_a_bank(solver: Solver) -> None:
    bank, noise = AnchorBank(5 * normal(0, N, Q).float()), normal(1, 6, Q).float()
    new = 5 * normal(2, 6, Q).float()
    expected = bank.latents(new, noise, solver=solver)
    with emulated_tf32():
        assert torch.equal(bank.latents(new, noise, solver=solver), expected)
