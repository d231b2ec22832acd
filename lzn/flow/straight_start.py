"""While every state surely belongs to one anchor, its path is a straight line: the flow's closed form near the anchors.

Let ``a`` be the anchor of the state ``s`` at noise level ``g``, and ``u = (s - a) / g``. As long as the posterior mean
is ``a``, the flow moves ``s_tau = a + tau u``, and any of our solvers does so exactly. On this line anchor ``b`` is
less probable than ``a`` by the factor ``exp(-gap)`` with

    gap = (t / (2 tau^2)) |b - a|^2 - (t / (2 tau)) (|b|^2 - |a|^2 + 2 <u, b - a>) - log(w_b / w_a),   t = 1 - tau

(the difference of the logits of `lzn.flow.assignment`). At the paper's q = 200 that holds for most of the steps, which
so cost two matrix products together instead of seven each, and lose nothing: these are the steps that need float64.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from lzn.flow.assignment import AnchorSet, row_blocks

SURE_GAP = 64.0
"""Other anchors then have less than exp(-64) = 2e-28: with gradients 1/tau^2 <= 1e8 times that, far below rounding."""


@dataclass(frozen=True)
class StraightStart:
    """The first steps of a trajectory, over which nothing but straight lines happens.

    Attributes:
        num_steps: how many of the solver's steps; may be 0.
        mean: the anchor that each state belongs to meanwhile, (m, q), differentiable.
    """

    num_steps: int
    mean: Tensor

    def advance(self, state: Tensor, grid: tuple[float, ...]) -> Tensor:
        """The state (m, q) at ``grid[num_steps]``, from the state at ``grid[0]``."""
        if self.num_steps == 0:
            return state
        return self.mean + (grid[self.num_steps] / grid[0]) * (state - self.mean)


def find_straight_start(zones: AnchorSet, state: Tensor, grid: tuple[float, ...]) -> StraightStart:
    """How far all of the shifted states (m, q), float64, move straight along the noise levels of ``grid``."""
    nearest = state.new_empty(len(state), dtype=torch.int64)
    num_steps = len(grid) - 1
    with torch.no_grad():
        for rows in row_blocks(len(state)):
            nearest[rows], num_steps = _straight_steps(zones, state[rows], grid[:num_steps])
            if num_steps == 0:
                break
    return StraightStart(num_steps, zones.points[nearest] if num_steps else state)


def _straight_steps(zones: AnchorSet, state: Tensor, grid: tuple[float, ...]) -> tuple[Tensor, int]:
    """The nearest anchor (m,) of a block of states, and how many steps from ``grid``'s levels are straight for all."""
    points, log_weights = zones.points, zones.log_weights
    tau = grid[0]
    t = 1.0 - tau
    squares = points.square().sum(dim=1)
    logits = torch.addmm(squares, state, points.T, beta=-0.5 * t * t / tau**2, alpha=t / tau**2)
    if log_weights is not None:
        logits += log_weights
    nearest = logits.argmax(dim=1)
    own = points[nearest]
    direction = (state - own) / tau
    own_squares = squares[nearest][:, None]
    distances = own_squares + squares - 2.0 * (own @ points.T)
    tilt = squares - own_squares + 2.0 * (direction @ points.T - (direction * own).sum(dim=1, keepdim=True))
    relative_weights = None if log_weights is None else log_weights - log_weights[nearest][:, None]
    for step, tau in enumerate(grid):
        t = 1.0 - tau
        gaps = (0.5 * t / tau**2) * distances - (0.5 * t / tau) * tilt
        if relative_weights is not None:
            gaps -= relative_weights
        gaps.scatter_(1, nearest[:, None], torch.inf)
        if not bool((gaps > SURE_GAP).all()):  # not so for NaN either
            return nearest, step
    return nearest, len(grid)
