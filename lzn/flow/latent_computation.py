"""Latent computation, the paper's first atomic operation: from anchors to disjoint latent zones (Eq. 1 and 4)."""

from torch import Tensor

from lzn.flow.assignment import (
    AnchorSet,
    check_anchors,
    check_points,
    check_weights,
    in_full_precision,
    working_dtype,
)
from lzn.flow.solvers import Euler, Solver
from lzn.flow.straight_start import find_straight_start
from lzn.flow.trajectory import integrate_flow

DEFAULT_SOLVER = Euler(num_steps=20, g=1e-4)


def compute_latents(
    anchors: Tensor,
    noise: Tensor,
    *,
    all_anchors: Tensor | None = None,
    weights: Tensor | None = None,
    alpha: float = 1.0,
    solver: Solver = DEFAULT_SOLVER,
) -> Tensor:
    """Draw one latent from the zone of each sample: ``z_i = IFM((1 - g) a_i + g alpha eps_i; 0)`` (Eq. 1 and 4).

    The result is differentiable in ``anchors``, ``all_anchors`` and ``noise``. Autocast is switched off inside.
    Where ``anchors`` are rows of ``all_anchors``, as after gathering them from several processes, slice them from
    the *float64* tensor that is passed as ``all_anchors``: an anchor's gradients as a starting point and as a key
    nearly cancel, and have to be added before they are rounded to float32.

    Args:
        anchors: the samples' own anchors, (m, q).
        noise: standard normal ``eps``, (m, q). It decides the precision: float64 noise computes in float64
            throughout, anything else in float32 with float64 where it matters.
        all_anchors: anchors whose zones divide the latent space, (n, q); by default ``anchors``.
        weights: relative mass of each of the n anchors, (n,), constants for autograd; by default uniform.
        alpha: concentration of the draw, from 0 (the zone's centre) to 1 (the whole zone).
        solver: `Euler`, `DPMSolver` or `Adams`.

    Returns:
        Latents (m, q), of the dtype of ``noise`` but float32 at least.

    Raises:
        NonFiniteAnchorsError: anchors hold NaN or infinity (a ValueError; of values on an accelerator see
            `lzn.flow.assignment.is_cpu`).
        ValueError: shapes do not fit, weights are negative or sum to zero, or alpha is outside [0, 1].
    """
    check_anchors("anchors", anchors)
    check_points("noise", noise, dim=anchors.shape[1])
    if len(noise) != len(anchors):
        raise ValueError(f"noise must have one row for each of the {len(anchors)} anchors, got {len(noise)}")
    if all_anchors is not None:
        check_anchors("all_anchors", all_anchors)
        check_points("all_anchors", all_anchors, dim=anchors.shape[1])
    if not 0.0 <= alpha <= 1.0:
        raise ValueError(f"alpha must lie in [0, 1], got {alpha}")
    keys = anchors if all_anchors is None else all_anchors
    check_weights(weights, len(keys))

    with in_full_precision(anchors.device):
        dtype = working_dtype(noise)
        zones = AnchorSet.build(keys, weights, dtype)
        own = None if all_anchors is None else anchors.double() - zones.centre
        spread = alpha * noise
        state = (1.0 - solver.g) * (zones.points if own is None else own) + solver.g * spread.double()
        grid = solver.grid_to_latents()
        steps = solver.steps(grid)
        start = find_straight_start(zones, own, spread.to(dtype), steps)
        return zones.from_centred(integrate_flow(zones, state, steps, start=start).end, grid[-1]).to(dtype)
