"""While every state surely belongs to one anchor, its path is a straight line: the flow's closed form near the anchors.

From its anchor ``a`` a state sets out in the direction of its noise ``e``: ``s_tau = t a + tau e``, and as long as the
posterior mean is ``a`` any of our solvers moves it so exactly. On this line anchor ``b`` is less probable than ``a`` by
the factor ``exp(-gap)`` with

    gap = (x^2 / 2) |b - a|^2 - x <e, b - a> - log(w_b / w_a),   x = t / tau

(the difference of the logits of `lzn.flow.assignment`). The gap exceeds a bound for all x beyond the larger root of a
quadratic, so that two matrix products tell how far all lines are straight. At the paper's q = 200 that is for most of
the steps, and loses nothing: these are the steps that need float64.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lzn.flow.assignment import AnchorSet, is_cpu, row_blocks
from lzn.flow.multistep import Step

SURE_GAP = 64.0
"""Other anchors then have less than exp(-64) = 2e-28: with gradients 1/tau^2 <= 1e8 times that, far below rounding."""

_SLACK = 100.0
"""Bound on the rounding error of an inner product, in units of the dtype's resolution times the vectors' lengths."""


@dataclass(frozen=True)
class StraightStart:
    """The first steps of a trajectory, over which nothing but straight lines happens.

    Attributes:
        num_steps: how many of the solver's steps; may be 0.
        nearest: index of the anchor that each state belongs to meanwhile, int64 (m,); empty where there are no steps.
    """

    num_steps: int
    nearest: Tensor


def find_straight_start(
    zones: AnchorSet, own: Tensor | None, noise: Tensor, steps: Sequence[Step]
) -> StraightStart:
    """How many of a solver's first steps are straight for all states.

    None where the answer is not at hand: waiting for an accelerator costs more than its steps.

    Args:
        zones: the anchors.
        own: shifted anchors (m, q), float64, that the states set out from; None where they are those of ``zones``.
        noise: ``e``, (m, q).
        steps: the solver's.
    """
    if not is_cpu(noise):
        return StraightStart(0, torch.empty(0, dtype=torch.int64, device=noise.device))
    with torch.no_grad():
        nearest = torch.arange(len(noise)) if own is None else _nearest(zones.points, own)
        least = _least_straight_ratio(zones, nearest, noise)
    num_steps = 0
    while num_steps < len(steps) and (1.0 - steps[num_steps].tau) / steps[num_steps].tau > least:
        num_steps += 1
    return StraightStart(num_steps, nearest)


def _nearest(points: Tensor, own: Tensor) -> Tensor:
    """Index (m,) of the anchor nearest to each of ``own`` (m, q)."""
    squares = points.square().sum(dim=1)
    nearest = torch.empty(len(own), dtype=torch.int64)
    for rows in row_blocks(len(own)):
        nearest[rows] = torch.addmm(squares, own[rows], points.T, alpha=-2.0).argmin(dim=1)
    return nearest


def _least_straight_ratio(zones: AnchorSet, nearest: Tensor, noise: Tensor) -> float:
    """The ratio x = t / tau down to which all states (m,) surely move straight; not finite where none is enough."""
    points = zones.points.to(noise.dtype)
    squares = points.square().sum(dim=1)
    sizes = squares.sqrt()
    slack = _SLACK * torch.finfo(noise.dtype).eps
    least = noise.new_zeros(())
    for rows in row_blocks(len(noise)):
        own, e = points[nearest[rows]], noise[rows]
        own_squares = squares[nearest[rows], None]
        distances = torch.addmm(squares, own, points.T, alpha=-2.0).add_(own_squares)
        distances -= slack * (own_squares + squares)
        tilt = torch.addmm(-(e * own).sum(dim=1, keepdim=True), e, points.T)
        tilt += slack * e.norm(dim=1, keepdim=True) * (own_squares.sqrt() + sizes)
        gap = noise.new_full((), SURE_GAP)
        if zones.log_weights is not None:
            log_weights = zones.log_weights.to(noise.dtype)
            gap = gap + log_weights - log_weights[nearest[rows], None]
        ratio = (tilt + (tilt.square() + 2.0 * distances * gap).sqrt()) / distances
        ratio = torch.where(distances > 0, ratio, torch.inf)
        ratio.masked_fill_(gap == -torch.inf, 0.0)  # an anchor without weight
        ratio.scatter_(1, nearest[rows, None], 0.0)
        least = torch.maximum(least, ratio.amax())  # NaN wins, and is larger than nothing
    return float(least)
