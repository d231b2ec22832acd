"""Latent computation, the paper's first atomic operation: from anchors to disjoint latent zones (Eq. 1 and 4)."""

from torch import Tensor

from lzn.flow.assignment import AnchorSet
from lzn.flow.input_checks import check_alpha, check_anchors, check_paired, check_points, check_weights
from lzn.flow.precision import autocast_disabled, working_dtype
from lzn.flow.solvers import DEFAULT_SOLVER, Solver
from lzn.flow.straight_start import find_straight_start
from lzn.flow.trajectory import integrate_flow


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

    The result is differentiable in ``anchors``, ``all_anchors`` and ``noise``. Autocast is disabled inside.
    Where ``anchors`` are rows of ``all_anchors``, for example after gathering them from several processes, slice them
    from the *float64* tensor that is passed as ``all_anchors``: an anchor's gradients as a starting point and as a key
    nearly cancel, so they must be added before they are rounded to float32.

    Args:
        anchors: anchors of the samples, (m, q).
        noise: standard normal ``eps``, (m, q). Its dtype decides the precision: with float64 noise everything is
            float64; otherwise float32, and float64 close to the anchors (`lzn.flow.precision`).
        all_anchors: anchors that divide the latent space into zones, (n, q); by default ``anchors``.
        weights: relative mass of each of the n anchors, (n,), constants for autograd; by default uniform.
        alpha: concentration of the draw, from 0 (the zone's centre) to 1 (the whole zone).
        solver: `Euler`, `DPMSolver` or `Adams`.

    Returns:
        Latents (m, q), of the dtype of ``noise`` but float32 at least.

    Raises:
        NonFiniteAnchorsError: anchors hold NaN or infinity (a ValueError; on CPU only, see `lzn.flow.input_checks`).
        ValueError: shapes do not match, weights are negative or sum to zero, or alpha is outside [0, 1].
    """
    check_anchors("anchors", anchors)
    check_paired("noise", noise, anchors)
    if all_anchors is not None:
        check_anchors("all_anchors", all_anchors)
        check_points("all_anchors", all_anchors, dim=anchors.shape[1])
    check_alpha(alpha)
    keys = anchors if all_anchors is None else all_anchors
    check_weights(weights, len(keys))

    with autocast_disabled(anchors.device):
        dtype = working_dtype(noise)
        anchor_set = AnchorSet.build(keys, weights, dtype)
        own = None if all_anchors is None else anchors.double() - anchor_set.centre
        scaled_noise = alpha * noise
        state = (1.0 - solver.g) * (anchor_set.points if own is None else own)
        state = state + solver.g * scaled_noise.double()
        grid = solver.grid_to_latents()
        steps = solver.steps(grid)
        start = find_straight_start(anchor_set, own, scaled_noise.to(dtype), steps)
        end = integrate_flow(anchor_set, state, steps, start=start).end
        return anchor_set.from_centred(end, grid[-1]).to(dtype)
