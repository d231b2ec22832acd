"""The flow in one dimension in closed form: it keeps the order of points, so it maps quantiles to quantiles."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import norm

Vector = NDArray[np.float64]


def share_below(s: Vector, tau: float, anchors: Vector, weights: Vector) -> Vector:
    """Share (m,) of pi_t = sum_j w_j N(t a_j, tau^2) below the states (m,); anchors and weights are (n,)."""
    shares: Vector = norm.cdf((s[:, None] - (1 - tau) * anchors[None, :]) / tau) @ weights
    return shares


def flow_on_a_line(s: Vector, tau: float, tau_end: float, anchors: Vector, weights: Vector) -> Vector:
    """Where states (m,) at noise level ``tau`` are at ``tau_end`` > 0, whichever is the later time."""
    shares = share_below(s, tau, anchors, weights)

    def excess(x: float, share: float) -> float:
        return float(share_below(np.array([x]), tau_end, anchors, weights)[0]) - share

    return np.array([brentq(excess, -50, 50, args=(share,), xtol=1e-14, rtol=1e-14) for share in shares])
