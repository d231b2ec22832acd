"""The closed form of the first steps equals what the steps compute, and ends in time."""

import pytest
import torch
from lzn_testing.oracles.flow_problems import gradient, leaf, normal, positive, relative_error
from torch import Tensor

from lzn.flow import Adams, DPMSolver, Euler, Solver, compute_latents, row_blocks, straight_start
from lzn.flow.assignment import AnchorSet
from lzn.flow.straight_start import StraightStart, find_straight_start

SOLVERS = [
    Euler(num_steps=20, g=1e-4),
    DPMSolver(num_steps=20, g=1e-3),
    DPMSolver(num_steps=7, g=1e-3),
    Adams(),
]
by_solver = pytest.mark.parametrize("solver", SOLVERS, ids=["euler", "dpm", "dpm of few steps", "adams"])


def start_of(
    anchors: Tensor, solver: Solver, *, samples: Tensor | None = None, weights: Tensor | None = None
) -> StraightStart:
    anchor_set = AnchorSet.build(anchors, weights, torch.float64)
    samples = torch.arange(len(anchors)) if samples is None else samples
    noise = normal(1, len(samples), anchors.shape[1])
    return find_straight_start(anchor_set, samples, noise, solver.steps(solver.grid_to_latents()))


def latents_and_gradient(anchors: Tensor, solver: Solver, **options: Tensor) -> tuple[Tensor, Tensor]:
    points = leaf(anchors)
    z = compute_latents(points, normal(1, *anchors.shape), solver=solver, **options)
    (z * normal(2, *anchors.shape)).sum().backward()
    return z.detach(), gradient(points)


@by_solver
@pytest.mark.parametrize("weighted", [False, True], ids=["uniform", "weighted"])
def test_latents_and_gradients_equal_those_of_all_steps(
    solver: Solver, weighted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    anchors = 2 * normal(0, 40, 30)
    options = {"weights": positive(3, 40)} if weighted else {}
    assert 2 < start_of(anchors, solver, **options).num_steps < solver.num_steps
    closed_form, closed_form_gradient = latents_and_gradient(anchors, solver, **options)
    monkeypatch.setattr(straight_start, "MIN_LOGIT_GAP", torch.inf)
    assert start_of(anchors, solver).num_steps == 0
    all_steps, all_steps_gradient = latents_and_gradient(anchors, solver, **options)
    # Early steps divide by tau >= 1e-4, so float64 has errors of about 1e-11.
    assert relative_error(closed_form, all_steps) < 1e-10
    assert relative_error(closed_form_gradient, all_steps_gradient) < 1e-9


def test_with_one_anchor_all_steps_are_straight() -> None:
    for solver in SOLVERS:
        assert start_of(normal(0, 1, 5), solver).num_steps == solver.num_steps


@by_solver
def test_with_duplicate_anchors_no_step_is_straight(solver: Solver) -> None:
    assert start_of(normal(0, 6, 5).repeat(2, 1), solver).num_steps == 0


@by_solver
def test_a_close_pair_of_anchors_ends_the_straight_part_earlier(solver: Solver) -> None:
    apart = 3 * normal(0, 12, 40)
    close = torch.cat([apart, apart[:1] + 0.02 * normal(4, 1, 40)])
    assert start_of(close, solver).num_steps < start_of(apart, solver).num_steps


def test_the_straight_part_depends_on_all_blocks_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    close = 3 * normal(0, 12, 40)
    close[11] = close[10] + 0.02 * normal(4, 40)
    expected = start_of(close, SOLVERS[0]).num_steps
    monkeypatch.setattr(row_blocks, "MAX_ROWS_ON_CPU", 5)
    found = start_of(close, SOLVERS[0])
    assert found.num_steps == expected


@by_solver
def test_the_straight_part_of_some_samples_is_at_least_as_long_as_that_of_all(solver: Solver) -> None:
    close = 3 * normal(0, 12, 40)
    close[11] = close[10] + 0.02 * normal(4, 40)
    found = start_of(close, solver, samples=torch.tensor([4, 4, 7]))
    assert found.num_steps > start_of(close, solver).num_steps
    assert found.samples.tolist() == [4, 4, 7]


def test_anchors_of_weight_zero_do_not_end_the_straight_part() -> None:
    anchors = 3 * normal(0, 12, 40)
    anchors[3] = anchors[2] + 0.02 * normal(4, 40)  # with weight it would end the straight part
    weights = torch.ones(12, dtype=torch.float64)
    weights[3] = 0.0
    present = torch.tensor([0, 1, 2, *range(4, 12)])
    found = start_of(anchors, SOLVERS[0], samples=present, weights=weights)
    assert found.num_steps == start_of(anchors[present], SOLVERS[0]).num_steps
    assert found.num_steps > start_of(anchors, SOLVERS[0], samples=present).num_steps
