"""The first steps of latent computation in closed form: straight lines, while each state belongs to one anchor.

A state that starts near its anchor ``a`` in the direction of its noise ``e`` is ``s_tau = t a + tau e`` as long as its
posterior mean is ``a``; all solvers here compute that line exactly. On it the probability of another anchor ``b`` is
``exp(-gap)`` times that of ``a``, with

    gap = (x^2 / 2) |b - a|^2 - x <e, b - a> - log(w_b / w_a),   x = t / tau

(the difference of the logits of `lzn.flow.assignment`). The gap exceeds a bound for all x above the larger root of a
quadratic, so two matrix products give the number of steps that are straight for all states. At the paper's q = 200
these are most of the steps, and the ones that need float64.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lzn.base.devices import is_cpu
from lzn.flow.assignment import AnchorSet
from lzn.flow.multistep import Step
from lzn.flow.row_blocks import row_blocks

MIN_LOGIT_GAP = 64.0
"""Other anchors then have probability below exp(-64) = 2e-28; times 1/tau^2 <= 1e8 in gradients, below rounding."""

_SLACK = 100.0
"""Bound on the rounding error of an inner product, as a multiple of the dtype's epsilon times the vectors' norms."""


@dataclass(frozen=True)
class StraightStart:
    """The first steps of a trajectory, over which all states move on straight lines.

    Attributes:
        num_steps: number of these steps, from 0.
        samples: index of the anchor that each state belongs to, int64 (m,); may be empty if there are no steps.
    """

    num_steps: int
    samples: Tensor


def find_straight_start(
    anchor_set: AnchorSet, samples: Tensor, noise: Tensor, steps: Sequence[Step]
) -> StraightStart:
    """Find how many of the solver's first steps are straight for all states.

    On devices other than the CPU, no step counts as straight: to find them would synchronise the device.

    Args:
        anchor_set: the anchors.
        samples: index of the anchor at which each state starts, int64 (m,).
        noise: ``e``, (m, q).
        steps: the solver's steps.
    """
    if not is_cpu(noise):
        return StraightStart(0, samples)
    with torch.no_grad():
        min_ratio = _min_straight_ratio(anchor_set, samples, noise)
    num_steps = 0
    while num_steps < len(steps) and (1.0 - steps[num_steps].tau) / steps[num_steps].tau > min_ratio:
        num_steps += 1
    return StraightStart(num_steps, samples)


def _min_straight_ratio(anchor_set: AnchorSet, samples: Tensor, noise: Tensor) -> float:
    """Compute the ratio x = t / tau above which all states are sure to move straight; not finite if there is none."""
    points = anchor_set.points.to(noise.dtype)
    squares = points.square().sum(dim=1)
    norms = squares.sqrt()
    slack = _SLACK * torch.finfo(noise.dtype).eps
    min_ratio = noise.new_zeros(())
    for rows in row_blocks(len(noise), num_columns=len(points), dtype=noise.dtype, device=noise.device):
        own, e = points[samples[rows]], noise[rows]
        own_squares = squares[samples[rows], None]
        squared_distances = torch.addmm(squares, own, points.T, alpha=-2.0).add_(own_squares)
        squared_distances -= slack * (own_squares + squares)
        linear = torch.addmm(-(e * own).sum(dim=1, keepdim=True), e, points.T)
        linear += slack * e.norm(dim=1, keepdim=True) * (own_squares.sqrt() + norms)
        gap = noise.new_full((), MIN_LOGIT_GAP)
        if anchor_set.log_weights is not None:
            log_weights = anchor_set.log_weights.to(noise.dtype)
            gap = gap + log_weights - log_weights[samples[rows], None]
        ratio = (linear + (linear.square() + 2.0 * squared_distances * gap).sqrt()) / squared_distances
        ratio = torch.where(squared_distances > 0, ratio, torch.inf)
        ratio.masked_fill_(gap == -torch.inf, 0.0)  # an anchor without weight
        ratio.scatter_(1, samples[rows, None], 0.0)
        min_ratio = torch.maximum(min_ratio, ratio.amax())  # NaN propagates: no step is straight
    return float(min_ratio)
