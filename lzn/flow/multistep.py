"""Linear multistep methods of the flow between the Gaussian prior and the anchors (sections 2.2.1 and A).

The velocity is ``V = (D - s) / tau``, with ``D(s, tau)`` the posterior mean of the anchor. Its part linear in the state
is solved exactly, so every solver here takes steps of the form

    s_{k+1} = keep_k s_k + sum_i weight_{k,i} D_{k-i}

with coefficients that depend only on the grid of noise levels. `lzn.flow.trajectory` needs nothing else of a solver.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor

Denoiser = Callable[[Tensor, float], Tensor]
"""``denoise(s, tau) -> D(s, tau)``: states (m, q) to posterior means (m, q)."""

MAX_ORDER = 3
"""Largest number of posterior means in one step."""


@dataclass(frozen=True)
class Step:
    """One step from noise level ``tau`` to ``tau_next``.

    Attributes:
        keep: factor of the state.
        weights: factors of the posterior means at this step and at the steps before it, newest first.
    """

    tau: float
    tau_next: float
    keep: float
    weights: tuple[float, ...]

    def advance(self, state: Tensor, means: Sequence[Tensor]) -> Tensor:
        """Return the next state (m, q), in the dtype of the posterior means.

        Args:
            state: (m, q) at ``tau``.
            means: posterior means (m, q), newest first; at least as many as ``weights``.
        """
        result = self.keep * state.to(means[0].dtype)
        for weight, mean in zip(self.weights, means, strict=False):
            result.add_(mean.to(result.dtype), alpha=weight)
        return result


def integrate(
    state: Tensor, steps: Sequence[Step], denoise: Denoiser, *, history: Sequence[Tensor] = ()
) -> Tensor:
    """Return the state (m, q) after ``steps``.

    Args:
        state: (m, q) before the first step.
        steps: the steps to take.
        denoise: computes the posterior mean.
        history: posterior means of earlier steps, newest first.
    """
    means = list(history)
    for step in steps:
        means = [denoise(state, step.tau), *means[: MAX_ORDER - 1]]
        state = step.advance(state, means)
    return state


def add_grad_of_mean(steps: Sequence[Step], k: int, total: Tensor, grads: Mapping[int, Tensor]) -> Tensor:
    """Add the gradient with respect to ``D_k`` to ``total`` and return it: the adjoint of `Step.advance`.

    Args:
        steps: all steps.
        k: index of the posterior mean.
        total: (m, q), changed in place.
        grads: gradients with respect to states, keyed by the states' indices; missing ones are zero.
    """
    for i in range(MAX_ORDER):
        if k + i + 1 in grads and i < len(steps[k + i].weights):
            total.add_(grads[k + i + 1].to(total.dtype), alpha=steps[k + i].weights[i])
    return total


def euler_steps(grid: Sequence[float]) -> tuple[Step, ...]:
    """Compute the steps of Euler's method: ``s' = s + (tau' - tau) (s - D) / tau``."""
    return tuple(Step(tau, after, after / tau, (1.0 - after / tau,)) for tau, after in pairwise(grid))


def adams_steps(grid: Sequence[float]) -> tuple[Step, ...]:
    """Compute the steps of the Adams-Bashforth method of order 3; the first two steps are of order 1 and 2.

    With ``u = 1 / tau`` and ``y = s / tau`` the flow is ``dy/du = D``. Over a step, the parabola through the last three
    posterior means approximates ``D``. A step to ``tau = 0``, where u is infinite, is of order 1.
    """
    steps = []
    for k, (tau, after) in enumerate(pairwise(grid)):
        if after == 0.0:
            steps.append(Step(tau, after, 0.0, (1.0,)))
            continue
        past = [1.0 / grid[k - i] - 1.0 / tau for i in range(1, min(k + 1, MAX_ORDER))]
        weights = _parabola_weights(1.0 / after - 1.0 / tau, past)
        steps.append(Step(tau, after, after / tau, tuple(after * weight for weight in weights)))
    return tuple(steps)


def _parabola_weights(h: float, past: Sequence[float]) -> tuple[float, ...]:
    """Compute the integrals from 0 to h of the Lagrange polynomials of the nodes 0 and ``past`` (at most two)."""
    if not past:
        return (h,)
    if len(past) == 1:
        slope = 0.5 * h * h / past[0]
        return h - slope, slope
    p, q = past
    first = (h**3 / 3 - 0.5 * q * h * h) / (p * (p - q))
    second = (h**3 / 3 - 0.5 * p * h * h) / (q * (q - p))
    return h - first - second, first, second


def dpm_steps(grid: Sequence[float]) -> tuple[Step, ...]:
    """Compute the steps of multistep DPM-Solver++ of order 3, as in its public implementation (arXiv:2211.01095).

    The first two steps are of order 1 and 2; with fewer than 10 steps, the last two are of order 2 and 1.
    """
    num_steps = len(grid) - 1
    steps = []
    for k, (tau, after) in enumerate(pairwise(grid)):
        order = min(MAX_ORDER, k + 1, num_steps - k if num_steps < 10 else MAX_ORDER)
        past = [_half_log_snr(grid[k - i]) for i in range(order)]
        steps.append(Step(tau, after, after / tau, _dpm_weights(past, after)))
    return tuple(steps)


def _dpm_weights(past: Sequence[float], tau_next: float) -> tuple[float, ...]:
    """Compute the weights of the posterior means at the ``past`` values of lambda, newest first."""
    h = _half_log_snr(tau_next) - past[0]
    alpha = 1.0 - tau_next
    phi_1 = math.expm1(-h)
    if len(past) == 1:
        return (-alpha * phi_1,)
    r_0 = (past[0] - past[1]) / h
    if len(past) == 2:
        slope_0 = -0.5 * alpha * phi_1 / r_0
        return -alpha * phi_1 + slope_0, -slope_0
    r_1 = (past[1] - past[2]) / h
    phi_2 = phi_1 / h + 1.0
    phi_3 = phi_2 / h - 0.5
    # factors of the divided differences (D_0 - D_1) / r_0 and (D_1 - D_2) / r_1
    bend = alpha * (phi_2 * r_0 - phi_3) / (r_0 + r_1)
    slope_0, slope_1 = (alpha * phi_2 + bend) / r_0, -bend / r_1
    return -alpha * phi_1 + slope_0, slope_1 - slope_0, -slope_1


def _half_log_snr(tau: float) -> float:
    """Compute lambda = log(alpha / sigma), with alpha = 1 - tau and sigma = tau."""
    return math.log((1.0 - tau) / tau)
