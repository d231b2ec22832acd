"""The low-rank flow to few anchors equals the flow in all dimensions."""

import pytest
import torch
from lzn_testing.oracles.flow_problems import gradient, leaf, normal, positive, relative_error
from torch import Tensor

from lzn.flow import Adams, DPMSolver, Euler, Solver, flow_to_anchors
from lzn.flow.assignment import AnchorSet
from lzn.flow.low_rank import integrate_flow_low_rank
from lzn.flow.trajectory import Trajectory, integrate_flow

SOLVERS = [Euler(num_steps=100), DPMSolver(num_steps=20), DPMSolver(num_steps=6), Adams(num_steps=12)]
by_solver = pytest.mark.parametrize("solver", SOLVERS, ids=["euler", "dpm", "dpm of few steps", "adams"])

M, N, Q = 30, 5, 16

# Near the anchors log-probabilities and gradients reach 1e6; float64 keeps ten digits of them.
CLOSE = 1e-10


def ends(trajectory: Trajectory) -> tuple[Tensor, Tensor]:
    assert trajectory.target_log_probability is not None
    return trajectory.end, trajectory.target_log_probability


@by_solver
@pytest.mark.parametrize("weighted", [False, True], ids=["uniform", "weighted"])
def test_ends_probabilities_and_gradients_equal_those_in_all_dimensions(
    solver: Solver, weighted: bool
) -> None:
    weights = positive(1, N) if weighted else None
    targets = torch.arange(M) % N
    steps = solver.steps(solver.grid_to_anchors())
    results = []
    for function in (integrate_flow, integrate_flow_low_rank):
        state, anchors = leaf(normal(2, M, Q)), leaf(normal(3, N, Q))
        anchor_set = AnchorSet.build(anchors, weights, torch.float64)
        end, log_probability = ends(function(anchor_set, state, steps, targets=targets))
        damped = log_probability / (1 + log_probability.detach().abs())
        ((end * normal(4, M, Q)).sum() + (damped * normal(5, len(steps), M)).sum()).backward()
        results.append((end, log_probability, gradient(state), gradient(anchors)))
    for low_rank, full in zip(results[1], results[0], strict=True):
        assert relative_error(low_rank, full) < CLOSE


@by_solver
def test_without_targets_the_ends_are_equal(solver: Solver) -> None:
    anchor_set = AnchorSet.build(normal(3, N, Q), None, torch.float64)
    steps = solver.steps(solver.grid_to_anchors())
    low_rank = integrate_flow_low_rank(anchor_set, normal(2, M, Q), steps)
    assert low_rank.target_log_probability is None
    assert relative_error(low_rank.end, integrate_flow(anchor_set, normal(2, M, Q), steps).end) < CLOSE


def test_an_anchor_of_weight_zero_has_no_effect() -> None:
    anchors, weights = normal(3, N, Q), torch.tensor([1.0, 0.0, 1.0, 1.0, 1.0], dtype=torch.float64)
    latents = normal(2, M, Q)
    others = torch.tensor([0, 2, 3, 4])
    with_it = flow_to_anchors(latents, anchors, weights=weights, solver=Euler(100)).points
    without = flow_to_anchors(latents, anchors[others], solver=Euler(100)).points
    assert relative_error(with_it, without) < CLOSE


def test_a_second_derivative_raises() -> None:
    latents = leaf(normal(2, M, Q))
    points = flow_to_anchors(latents, normal(3, N, Q), solver=Euler(10)).points
    with pytest.raises(RuntimeError, match="first derivatives only"):
        torch.autograd.grad(points.square().sum(), latents, create_graph=True)


def test_saved_memory_does_not_grow_with_states_times_dimensions_times_steps() -> None:
    kept = 0

    def count(tensor: Tensor) -> Tensor:
        nonlocal kept
        kept += tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        flow_to_anchors(leaf(normal(2, M, 200)), leaf(normal(3, N, 200)), solver=Euler(100))
    # Two arrays (r, n, m) and a few of the states' size; the states of all steps would be (r, m, q) = 600 000.
    assert kept < 2 * 101 * N * M + 10 * M * 200
