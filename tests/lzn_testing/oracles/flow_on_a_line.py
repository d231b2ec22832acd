"""The flow in one dimension in closed form. It preserves order, so it maps quantiles to quantiles."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import norm

Vector = NDArray[np.float64]


def probability_below(s: Vector, tau: float, anchors: Vector, weights: Vector) -> Vector:
    """Compute the probability of pi_t = sum_j w_j N(t a_j, tau^2) below each state, (m,). Anchors are (n,)."""
    probabilities: Vector = norm.cdf((s[:, None] - (1 - tau) * anchors[None, :]) / tau) @ weights
    return probabilities


def flow_on_a_line(s: Vector, tau: float, tau_end: float, anchors: Vector, weights: Vector) -> Vector:
    """Move states (m,) from noise level ``tau`` to ``tau_end`` > 0, forwards or backwards in time."""
    probabilities = probability_below(s, tau, anchors, weights)

    def excess(x: float, probability: float) -> float:
        return float(probability_below(np.array([x]), tau_end, anchors, weights)[0]) - probability

    return np.array([brentq(excess, -50, 50, args=(p,), xtol=1e-14, rtol=1e-14) for p in probabilities])
