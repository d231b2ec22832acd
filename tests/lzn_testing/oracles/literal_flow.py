"""The formulas of sections 2.2.1, 2.2.2, A and B, with (m, n, q) tensors in float64 and plain autograd.

Letters: ``n`` anchors, ``m`` states, ``q`` latent dimension, ``r`` solver steps, ``t`` time, ``tau = 1 - t``.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from lzn.flow import Adams, DPMSolver, Euler, Solver


@dataclass(frozen=True)
class LiteralFlow:
    """The end of a flow, (m, q), and the log assignment matrix at each of its steps, (r, m, n)."""

    points: Tensor
    log_probability: Tensor


def log_assignment(s: Tensor, t: float, anchors: Tensor, weights: Tensor) -> Tensor:
    """Compute log p_j(s, t), (m, n): the share of anchor j in the density sum_j w_j N(t a_j, (1 - t)^2 I) at s."""
    difference = s[:, None, :] - t * anchors[None, :, :]  # (m, n, q)
    log_density = weights.log() - difference.square().sum(dim=2) / (2 * (1 - t) ** 2)
    return log_density - log_density.logsumexp(dim=1, keepdim=True)


def velocity(s: Tensor, t: float, anchors: Tensor, weights: Tensor) -> Tensor:
    """Compute V(s, t) = sum_j p_j (a_j - s) / (1 - t), (m, q): Eq. 1, with a stable softmax."""
    probability = log_assignment(s, t, anchors, weights).exp()
    return (probability[:, :, None] * (anchors[None, :, :] - s[:, None, :])).sum(dim=1) / (1 - t)


def solve(
    s: Tensor, anchors: Tensor, weights: Tensor | None, solver: Solver, *, towards_anchors: bool
) -> LiteralFlow:
    """Integrate FM (towards the anchors) or IFM from states (m, q) over all steps of the solver."""
    weights = torch.ones(len(anchors)) if weights is None else weights
    weights = weights.double() / weights.double().sum()
    r, g = solver.num_steps, solver.g
    match solver, towards_anchors:
        case Euler(), False:
            taus = np.linspace(g, 1.0, r + 1)
        case Euler(), True:
            taus = np.linspace(1.0, 0.0, r + 1)
        case DPMSolver(), False:
            taus = np.linspace(g, 1.0 - g, r + 1)
        case DPMSolver(), True:
            taus = np.linspace(1.0 - g, g, r + 1)
        case Adams(), False:
            taus = np.concatenate([[g], np.linspace(solver.straight_until, 1.0, r)])
        case Adams(), True:
            taus = np.concatenate([np.linspace(1.0, solver.straight_until, r), [0.0]])
    log_probabilities: list[Tensor] = []

    def velocity_at(s: Tensor, tau: float) -> Tensor:
        log_probabilities.append(log_assignment(s, 1 - tau, anchors, weights))
        return velocity(s, 1 - tau, anchors, weights)

    steps = {Euler: _euler_steps, DPMSolver: _dpm_steps, Adams: _adams_steps}[type(solver)]
    end = steps(s, taus.tolist(), velocity_at)
    return LiteralFlow(end, torch.stack(log_probabilities))


def latents(
    anchors: Tensor,
    noise: Tensor,
    solver: Solver,
    *,
    all_anchors: Tensor | None = None,
    weights: Tensor | None = None,
    alpha: float = 1.0,
) -> Tensor:
    """Compute z_i = IFM((1 - g) a_i + g alpha eps_i; 0), (m, q)."""
    start = (1 - solver.g) * anchors + solver.g * alpha * noise
    keys = anchors if all_anchors is None else all_anchors
    return solve(start, keys, weights, solver, towards_anchors=False).points


def alignment(log_probability: Tensor, targets: Tensor, *, num_skipped_steps: int, log: bool) -> Tensor:
    """Compute minus the mean of the target's largest probability after the skipped steps: Eq. 2 and 5."""
    num_samples = len(targets)
    total = torch.zeros((), dtype=torch.float64)
    for i in range(num_samples):
        own = log_probability[num_skipped_steps:, i, targets[i]]
        total = total + (own if log else own.exp()).max()
    return -total / num_samples


def _euler_steps(s: Tensor, taus: list[float], velocity_at: Callable[[Tensor, float], Tensor]) -> Tensor:
    """Integrate with s_next = s + V dt."""
    for tau, tau_next in pairwise(taus):
        s = s + velocity_at(s, tau) * (tau - tau_next)
    return s


def _adams_steps(s: Tensor, taus: list[float], velocity_at: Callable[[Tensor, float], Tensor]) -> Tensor:
    """Compute the exact solution for given D, s_next = tau_next (s / tau + int D du) with u = 1 / tau, by quadrature.

    D is the polynomial in u through its last three values (or fewer at first). In the last step, at tau = 0, D is
    constant.
    """
    nodes, node_weights = np.polynomial.legendre.leggauss(3)  # exact for parabolas
    means: list[Tensor] = []
    for k in range(len(taus) - 1):
        means.append(s + taus[k] * velocity_at(s, taus[k]))
        if taus[k + 1] == 0.0:
            s = means[-1]
            continue
        start, end = 1 / taus[k], 1 / taus[k + 1]
        known = [(1 / taus[i], means[i]) for i in range(max(0, k - 2), k + 1)]
        integral = torch.zeros_like(s)
        for x, node_weight in zip((nodes + 1) / 2, node_weights / 2, strict=True):
            u = start + x * (end - start)
            for i, (u_i, mean) in enumerate(known):
                others = [u_j for j, (u_j, _) in enumerate(known) if j != i]
                share = math.prod((u - u_j) / (u_i - u_j) for u_j in others)
                integral = integral + (node_weight * (end - start) * share) * mean
        s = taus[k + 1] * (s / taus[k] + integral)
    return s


def _dpm_steps(s: Tensor, taus: list[float], velocity_at: Callable[[Tensor, float], Tensor]) -> Tensor:
    """Compute the exact solution for given D, s_next = (tau_next / tau) s + t_next int e^(lam - lam_next) D(lam) dlam.

    The integral is computed by quadrature, with D from `_extrapolate`.
    """
    lams = [math.log(1 / tau - 1) for tau in taus]
    nodes, node_weights = np.polynomial.legendre.leggauss(20)  # exact up to rounding for |h| < 7
    means: list[Tensor] = []
    num_steps = len(taus) - 1
    for k in range(num_steps):
        means.append(s + taus[k] * velocity_at(s, taus[k]))
        order = min(3, k + 1, num_steps - k if num_steps < 10 else 3)
        h = lams[k + 1] - lams[k]
        integral = torch.zeros_like(s)
        for x, node_weight in zip((nodes + 1) / 2, node_weights / 2, strict=True):
            mean = _extrapolate(means[k + 1 - order :], lams[k + 1 - order : k + 1], lams[k] + x * h, h)
            integral = integral + (node_weight * h * math.exp(-(1 - x) * h)) * mean
        s = (taus[k + 1] / taus[k]) * s + (1 - taus[k + 1]) * integral
    return s


def _extrapolate(means: list[Tensor], lams: list[float], lam: float, h: float) -> Tensor:
    """Return D at ``lam`` in the step of length ``h`` from the last of ``lams``, as the public DPM-Solver++ does.

    With one D: a constant. With two: the line through both, at the middle of the step. With three: the parabola, with
    half its quadratic term. (The whole parabola would give order 3. The public multistep code, with which the paper's
    results were computed, has the half; the reference outputs differ between the two.)
    """
    x = np.array([(past - lams[-1]) / h for past in lams])
    coefficients = np.linalg.inv(np.vander(x, increasing=True))  # D = sum_k (coefficients[k] . means) x^k
    at = (lam - lams[-1]) / h
    powers = {1: [1.0], 2: [1.0, 0.5], 3: [1.0, at, 0.5 * at**2]}[len(means)]
    extrapolated = torch.zeros_like(means[0])
    for factor, mean in zip(np.array(powers) @ coefficients, means, strict=True):
        extrapolated = extrapolated + float(factor) * mean
    return extrapolated
