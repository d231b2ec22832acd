"""Latent computation, the paper's first atomic operation: from anchors to disjoint latent zones (Eq. 1 and 4)."""

import torch
from torch import Tensor

from lzn.base.devices import is_cpu
from lzn.base.full_precision import full_precision
from lzn.flow.assignment import AnchorSet
from lzn.flow.input_checks import (
    check_alpha,
    check_anchors,
    check_paired,
    check_sample_weights,
    check_weights,
)
from lzn.flow.precision import working_dtype
from lzn.flow.sample_rows import Rows, row_indices
from lzn.flow.solvers import DEFAULT_SOLVER, Solver
from lzn.flow.straight_start import find_straight_start
from lzn.flow.trajectory import integrate_flow


def compute_latents(
    anchors: Tensor,
    noise: Tensor,
    *,
    rows: Rows | None = None,
    weights: Tensor | None = None,
    alpha: float = 1.0,
    solver: Solver = DEFAULT_SOLVER,
) -> Tensor:
    """Draw one latent from the zone of each sample: ``z_i = IFM((1 - g) a_i + g alpha eps_i; 0)`` (Eq. 1 and 4).

    The result is differentiable in ``anchors`` and ``noise``. Autocast and TF32 are disabled inside.

    Args:
        anchors: all anchors that divide the latent space into zones, (n, q).
        noise: standard normal ``eps`` of the samples, (m, q). Its dtype decides the precision: with float64 noise
            everything is float64; otherwise float32, and float64 close to the anchors (`lzn.flow.precision`).
        rows: the rows of ``anchors`` that are the samples: a slice, int64 indices (m,), or a bool mask (n,) with m true
            elements; by default all. With several processes: the own rows of the gathered anchors.
        weights: relative mass of each anchor, (n,), constants for autograd; by default uniform.
        alpha: concentration of the draw, from 0 (the zone's centre) to 1 (the whole zone).
        solver: `Euler`, `DPMSolver` or `Adams`.

    Returns:
        Latents (m, q), of the dtype of ``noise`` but float32 at least.

    Raises:
        NonFiniteAnchorsError: anchors hold NaN or infinity (a ValueError; on CPU only, see `lzn.flow.input_checks`).
        ValueError: shapes do not match, rows are not those of anchors, weights are negative or sum to zero, the weight
            of a sample's anchor is zero, or alpha is outside [0, 1].
    """
    check_anchors("anchors", anchors)
    check_weights(weights, len(anchors))
    check_alpha(alpha)
    samples = row_indices(rows, num_anchors=len(anchors), num_samples=len(noise), device=anchors.device)
    check_paired("noise", noise, num_samples=len(samples), dim=anchors.shape[1])
    check_sample_weights(weights, samples)

    with full_precision(anchors.device):
        dtype = working_dtype(noise)
        anchor_set = AnchorSet.build(anchors, weights, dtype)
        # Samples are rows of the float64 keys: an anchor's two gradients nearly cancel, so they meet in float64.
        own = anchor_set.points if rows is None else anchor_set.points.index_select(0, samples)
        scaled_noise = alpha * noise
        state = (1.0 - solver.g) * own + solver.g * scaled_noise.double()
        if weights is not None and not is_cpu(weights):
            state = torch.where(weights[samples, None] > 0, state, torch.nan)
        grid = solver.grid_to_latents()
        steps = solver.steps(grid)
        start = find_straight_start(anchor_set, samples, scaled_noise.to(dtype), steps)
        end = integrate_flow(anchor_set, state, steps, start=start).end
        return anchor_set.from_centred(end, grid[-1]).to(dtype)
