"""Latent alignment, the paper's second atomic operation: make the zones of two data types agree (Eq. 2 and 5)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from lzn.flow.assignment import (
    AnchorSet,
    check_anchors,
    check_points,
    check_weights,
    in_full_precision,
    is_cpu,
    working_dtype,
)
from lzn.flow.few_anchors import integrate_flow_low_rank
from lzn.flow.latent_computation import DEFAULT_SOLVER
from lzn.flow.solvers import Solver
from lzn.flow.trajectory import integrate_flow


@dataclass(frozen=True)
class FlowResult:
    """Where latents arrive when they flow towards the anchors.

    Attributes:
        points: end points of the flow, (m, q).
        target_log_probability: ``log P(a_target | s_t)`` at each of the solver's r steps, (r, m), or None where no
            targets were given.
    """

    points: Tensor
    target_log_probability: Tensor | None


def flow_to_anchors(
    latents: Tensor,
    anchors: Tensor,
    *,
    weights: Tensor | None = None,
    targets: Tensor | None = None,
    solver: Solver = DEFAULT_SOLVER,
) -> FlowResult:
    """Flow latents towards the anchors: FM(z; 1), and how surely they were on their way to ``targets`` (section 2.2).

    Args:
        latents: (m, q). Their dtype decides the precision, as in `compute_latents`.
        anchors: (n, q).
        weights: relative mass of each anchor, (n,), constants for autograd; by default uniform.
        targets: index of the anchor that each latent is paired with, int64 (m,).
        solver: `Euler`, `DPMSolver` or `Adams`.

    Raises:
        NonFiniteAnchorsError: anchors hold NaN or infinity (a ValueError; of values on an accelerator see
            `lzn.flow.assignment.is_cpu`, here and below).
        ValueError: shapes do not fit, weights are negative or sum to zero, or a target is no anchor's index.
    """
    check_anchors("anchors", anchors)
    check_points("latents", latents, dim=anchors.shape[1])
    check_weights(weights, len(anchors))
    _check_targets(targets, num_latents=len(latents), num_anchors=len(anchors))

    with in_full_precision(latents.device):
        dtype = working_dtype(latents)
        zones = AnchorSet.build(anchors, weights, dtype)
        grid = solver.grid_to_anchors()
        steps = solver.steps(grid)
        state = zones.to_centred(latents, grid[0])
        if len(anchors) <= anchors.shape[1] // 2:
            trajectory = integrate_flow_low_rank(zones, state, steps, targets=targets)
        else:
            trajectory = integrate_flow(zones, state, steps, targets=targets)
        points = zones.from_centred(trajectory.end, grid[-1]).to(dtype)
    return FlowResult(points, trajectory.target_log_probability)


def alignment_loss(
    latents: Tensor,
    anchors: Tensor,
    targets: Tensor,
    *,
    weights: Tensor | None = None,
    solver: Solver,
    num_skipped_steps: int,
    log: bool,
) -> Tensor:
    """Minus the mean alignment of latents (m, q) with the anchors they are paired with (Eq. 2; with ``log`` Eq. 5).

    Args:
        latents: latents of one data type, (m, q).
        anchors: anchors of the other, (n, q).
        targets: index of each latent's anchor, int64 (m,).
        weights: relative mass of each anchor, (n,); by default uniform.
        solver: solver of the flow towards the anchors, r steps.
        num_skipped_steps: ``u``, the early steps that the maximum over time leaves out.
        log: take the logarithm of the probability (case study 2) or not (case study 3).

    Returns:
        A scalar: in [-1, 0] without log, non-negative with it.

    Raises:
        ValueError: as `flow_to_anchors`, or ``num_skipped_steps`` leaves no step, or, with ``log``, a target has
            weight zero, whose log-probability is minus infinity.
    """
    _check_targets(targets, num_latents=len(latents), num_anchors=len(anchors))
    check_weights(weights, len(anchors))
    if log and weights is not None and is_cpu(weights) and bool((weights[targets] == 0).any()):
        raise ValueError(
            "a target anchor has weight zero: the logarithm of its probability is minus infinity"
        )
    arrival = flow_to_anchors(latents, anchors, weights=weights, targets=targets, solver=solver)
    assert arrival.target_log_probability is not None
    return alignment_objective(arrival.target_log_probability, num_skipped_steps=num_skipped_steps, log=log)


def alignment_objective(target_log_probability: Tensor, *, num_skipped_steps: int, log: bool) -> Tensor:
    """Minus the mean over samples of the maximum over late steps, from log-probabilities (r, m) (Eq. 2 and 5).

    Raises:
        ValueError: ``num_skipped_steps`` is negative or leaves no step.
    """
    num_steps = len(target_log_probability)
    if not 0 <= num_skipped_steps < num_steps:
        raise ValueError(f"num_skipped_steps must lie in [0, {num_steps}), got {num_skipped_steps}")
    best = target_log_probability[num_skipped_steps:].max(dim=0).values
    return -(best if log else best.exp()).mean()


def nearest_anchor(points: Tensor, anchors: Tensor) -> Tensor:
    """Index of the anchor (n, q) nearest to each point (m, q) in L2, int64 (m,): the label decoder of section 5.

    Raises:
        ValueError: shapes do not fit or anchors are not finite.
    """
    check_anchors("anchors", anchors)
    check_points("points", points, dim=anchors.shape[1])
    distances = torch.cdist(points.double(), anchors.double(), compute_mode="donot_use_mm_for_euclid_dist")
    return distances.argmin(dim=1)


def _check_targets(targets: Tensor | None, *, num_latents: int, num_anchors: int) -> None:
    if targets is None:
        return
    if targets.dtype != torch.int64 or targets.shape != (num_latents,):
        raise ValueError(
            f"targets must be int64 of shape ({num_latents},), got {targets.dtype} of shape {tuple(targets.shape)}"
        )
    if is_cpu(targets) and bool(((targets < 0) | (targets >= num_anchors)).any()):
        raise ValueError(f"targets must lie in [0, {num_anchors}), the number of anchors")
