"""Latent alignment, the paper's second atomic operation: make the zones of two data types agree (Eq. 2 and 5)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from lzn.base.devices import is_cpu
from lzn.base.full_precision import full_precision
from lzn.flow.assignment import AnchorSet
from lzn.flow.input_checks import check_anchors, check_points, check_targets, check_weights
from lzn.flow.low_rank import integrate_flow_low_rank
from lzn.flow.precision import working_dtype
from lzn.flow.row_blocks import row_blocks
from lzn.flow.solvers import DEFAULT_SOLVER, Solver
from lzn.flow.trajectory import integrate_flow


@dataclass(frozen=True)
class FlowResult:
    """Result of `flow_to_anchors`.

    Attributes:
        points: end points of the flow, (m, q).
        target_log_probability: ``log P(a_target | s_t)`` at each of the solver's r steps, (r, m), or None without
            targets.
        assigned: index of the anchor with the largest probability at the last step, int64 (m,).
    """

    points: Tensor
    target_log_probability: Tensor | None
    assigned: Tensor


@dataclass(frozen=True)
class Alignment:
    """Result of `alignment_loss`.

    Attributes:
        loss: minus the mean alignment, a scalar with gradient: in [-1, 0] without log, non-negative with it.
        accuracy: share of latents that the last step assigns to their target anchor, a scalar without gradient.
        points: end points of the flow, (m, q), without gradient.
    """

    loss: Tensor
    accuracy: Tensor
    points: Tensor


def flow_to_anchors(
    latents: Tensor,
    anchors: Tensor,
    *,
    weights: Tensor | None = None,
    targets: Tensor | None = None,
    solver: Solver = DEFAULT_SOLVER,
) -> FlowResult:
    """Flow latents towards the anchors, FM(z; 1), and compute the probability of their ``targets`` (section 2.2).

    Args:
        latents: (m, q). Their dtype decides the precision, like that of the noise in `compute_latents`.
        anchors: (n, q).
        weights: relative mass of each anchor, (n,), constants for autograd; by default uniform.
        targets: index of the anchor that each latent is paired with, int64 (m,).
        solver: `Euler`, `DPMSolver` or `Adams`.

    Raises:
        NonFiniteAnchorsError: anchors hold NaN or infinity (a ValueError; on CPU only, see `lzn.flow.input_checks`).
        ValueError: shapes do not match, weights are negative or sum to zero, or a target is not an anchor's index.
    """
    check_anchors("anchors", anchors)
    check_points("latents", latents, dim=anchors.shape[1])
    check_weights(weights, len(anchors))
    check_targets(targets, num_latents=len(latents), num_anchors=len(anchors))

    with full_precision(latents.device):
        dtype = working_dtype(latents)
        anchor_set = AnchorSet.build(anchors, weights, dtype)
        grid = solver.grid_to_anchors()
        steps = solver.steps(grid)
        state = anchor_set.to_centred(latents, grid[0])
        if len(anchors) <= anchors.shape[1] // 2:
            trajectory = integrate_flow_low_rank(anchor_set, state, steps, targets=targets)
        else:
            trajectory = integrate_flow(anchor_set, state, steps, targets=targets)
        points = anchor_set.from_centred(trajectory.end, grid[-1]).to(dtype)
    return FlowResult(points, trajectory.target_log_probability, trajectory.assigned)


def alignment_loss(
    latents: Tensor,
    anchors: Tensor,
    targets: Tensor,
    *,
    weights: Tensor | None = None,
    solver: Solver,
    num_skipped_steps: int,
    log: bool,
) -> Alignment:
    """Compute minus the mean alignment of latents with their target anchors (Eq. 2; with ``log`` Eq. 5).

    Args:
        latents: latents of one data type, (m, q).
        anchors: anchors of the other data type, (n, q).
        targets: index of each latent's anchor, int64 (m,).
        weights: relative mass of each anchor, (n,); by default uniform.
        solver: solver of the flow towards the anchors, r steps.
        num_skipped_steps: ``u``, the number of first steps that the maximum over time leaves out.
        log: take the logarithm of the probability (case study 2) or not (case study 3).

    Raises:
        ValueError: as `flow_to_anchors`; or ``num_skipped_steps`` leaves no step; or, with ``log``, the weight of a
            target is zero, so that its log-probability is minus infinity.
    """
    check_targets(targets, num_latents=len(latents), num_anchors=len(anchors))
    check_weights(weights, len(anchors))
    if log and weights is not None and is_cpu(weights) and bool((weights[targets] == 0).any()):
        raise ValueError(
            "a target anchor has weight zero: the logarithm of its probability is minus infinity"
        )
    result = flow_to_anchors(latents, anchors, weights=weights, targets=targets, solver=solver)
    assert result.target_log_probability is not None
    loss = alignment_objective(result.target_log_probability, num_skipped_steps=num_skipped_steps, log=log)
    with torch.no_grad():
        # Equal anchors share one zone.
        aligned = (anchors[result.assigned] == anchors[targets]).all(dim=1)
    return Alignment(loss, aligned.float().mean(), result.points.detach())


def alignment_objective(target_log_probability: Tensor, *, num_skipped_steps: int, log: bool) -> Tensor:
    """Compute the alignment loss from log-probabilities (r, m): minus the mean over m of the maximum over r (Eq. 2, 5).

    Raises:
        ValueError: ``num_skipped_steps`` is negative or leaves no step.
    """
    num_steps = len(target_log_probability)
    if not 0 <= num_skipped_steps < num_steps:
        raise ValueError(f"num_skipped_steps must lie in [0, {num_steps}), got {num_skipped_steps}")
    best = target_log_probability[num_skipped_steps:].max(dim=0).values
    return -(best if log else best.exp()).mean()


def nearest_anchor(points: Tensor, anchors: Tensor) -> Tensor:
    """Return the index of the anchor (n, q) nearest to each point (m, q) in L2, int64 (m,): section 5's label decoder.

    Raises:
        ValueError: shapes do not match, or anchors are not finite.
    """
    check_anchors("anchors", anchors)
    check_points("points", points, dim=anchors.shape[1])
    points, anchors = points.double(), anchors.double()
    nearest = torch.empty(len(points), dtype=torch.int64, device=points.device)
    for rows in row_blocks(len(points), num_columns=len(anchors), dtype=points.dtype, device=points.device):
        distances = torch.cdist(points[rows], anchors, compute_mode="donot_use_mm_for_euclid_dist")
        nearest[rows] = distances.argmin(dim=1)
    return nearest
