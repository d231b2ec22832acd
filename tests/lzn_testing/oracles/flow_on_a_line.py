"""The flow in one dimension in closed form. It preserves order, so it maps quantiles to quantiles."""

import numpy as np
import torch
from numpy.typing import NDArray

Vector = NDArray[np.float64]


def probability_below(s: Vector, tau: float, anchors: Vector, weights: Vector) -> Vector:
    """Compute the probability of pi_t = sum_j w_j N(t a_j, tau^2) below each state, (m,). Anchors are (n,)."""
    standardised = torch.from_numpy((s[:, None] - (1 - tau) * anchors[None, :]) / tau)
    probabilities: Vector = torch.special.ndtr(standardised).numpy() @ weights
    return probabilities


def flow_on_a_line(s: Vector, tau: float, tau_end: float, anchors: Vector, weights: Vector) -> Vector:
    """Move states (m,) from noise level ``tau`` to ``tau_end`` > 0, forwards or backwards in time."""
    probabilities = probability_below(s, tau, anchors, weights)
    low, high = np.full_like(probabilities, -50.0), np.full_like(probabilities, 50.0)
    for _ in range(60):  # bisection: 100 / 2^60 is below the rounding of float64
        middle = (low + high) / 2
        is_below = probability_below(middle, tau_end, anchors, weights) < probabilities
        low, high = np.where(is_below, middle, low), np.where(is_below, high, middle)
    return (low + high) / 2
