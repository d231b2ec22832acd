"""The flow as its formulas are written: a tensor of (m, n, q) differences in every step.

Each step is checkpointed: only the trajectory is kept, and the tensors of a step are recomputed in the backward pass
(A.3). In time and memory this corresponds to the released implementation. Letters are those of `lzn.flow`: ``n``
anchors, ``m`` states, ``q`` latent dimension, ``r`` steps, noise level ``tau = 1 - t``.
"""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from lzn.flow import DPMSolver, Euler

Velocity = Callable[[Tensor, float], Tensor]
PaperSolver = Euler | DPMSolver


class LiteralFlow(NamedTuple):
    """End points (m, q), and the targets' log-probabilities (r, m), as in `lzn.flow.FlowResult`."""

    points: Tensor
    target_log_probability: Tensor


def literal_latents(
    anchors: Tensor, noise: Tensor, *, solver: PaperSolver, alpha: float = 1.0, num_steps: int | None = None
) -> Tensor:
    """Compute latents (n, q) of anchors (n, q) with noise (n, q) (Eq. 1), or only the first ``num_steps`` steps."""
    state = (1.0 - solver.g) * anchors + solver.g * alpha * noise

    def velocity(state: Tensor, tau: float) -> Tensor:
        return _checkpointed(state, anchors, None, None, tau)[0]

    return _integrate(
        solver, state, noise_levels(solver, towards_anchors=False)[: _stop(num_steps)], velocity
    )


def literal_flow(
    latents: Tensor,
    anchors: Tensor,
    *,
    targets: Tensor,
    solver: PaperSolver,
    weights: Tensor | None = None,
    num_steps: int | None = None,
) -> LiteralFlow:
    """Integrate latents (m, q) towards anchors (n, q), as `lzn.flow.flow_to_anchors`, or only ``num_steps`` steps."""
    log_weights = None if weights is None else (weights / weights.sum()).log().to(latents.dtype)
    log_probabilities: list[Tensor] = []

    def velocity(state: Tensor, tau: float) -> Tensor:
        v, log_probability = _checkpointed(state, anchors, log_weights, targets, tau)
        log_probabilities.append(log_probability)
        return v

    levels = noise_levels(solver, towards_anchors=True)[: _stop(num_steps)]
    points = _integrate(solver, latents, levels, velocity)
    return LiteralFlow(points, torch.stack(log_probabilities))


def literal_alignment(log_probability: Tensor, *, num_skipped_steps: int, log: bool) -> Tensor:
    """Return minus the mean of the largest target probability after the skipped steps, from (r, m) (Eq. 2 and 5)."""
    best = log_probability[num_skipped_steps:].max(dim=0).values
    return -(best if log else best.exp()).mean()


def _checkpointed(
    state: Tensor, anchors: Tensor, log_weights: Tensor | None, targets: Tensor | None, tau: float
) -> tuple[Tensor, Tensor]:
    result: tuple[Tensor, Tensor] = checkpoint(
        _velocity, state, anchors, log_weights, targets, tau, use_reentrant=False
    )
    return result


def _velocity(
    state: Tensor, anchors: Tensor, log_weights: Tensor | None, targets: Tensor | None, tau: float
) -> tuple[Tensor, Tensor]:
    """Compute V(s, t) of section 2.2.1, (m, q), and log p of the targets, (m,), or (0,) without targets."""
    differences = state[:, None, :] - (1.0 - tau) * anchors[None, :, :]  # m n q
    logits = -differences.square().sum(dim=2) / (2 * tau**2)  # m n
    if log_weights is not None:
        logits = logits + log_weights
    log_probability = logits.log_softmax(dim=1)
    own = state.new_empty(0) if targets is None else log_probability.gather(1, targets[:, None])[:, 0]
    towards = log_probability.exp()[:, :, None] * (anchors[None, :, :] - state[:, None, :])  # m n q
    return towards.sum(dim=1) / tau, own


def noise_levels(solver: PaperSolver, *, towards_anchors: bool) -> list[float]:
    """Return the noise levels: from g to 1 or from 1 to 0 for Euler, between g and 1 - g for DPM-Solver."""
    match solver:
        case Euler():
            first, last = (1.0, 0.0) if towards_anchors else (solver.g, 1.0)
        case DPMSolver():
            first, last = (1.0 - solver.g, solver.g) if towards_anchors else (solver.g, 1.0 - solver.g)
    return [first + (last - first) * step / solver.num_steps for step in range(solver.num_steps)] + [last]


def _stop(num_steps: int | None) -> int | None:
    return None if num_steps is None else num_steps + 1


def _integrate(solver: PaperSolver, state: Tensor, levels: list[float], velocity: Velocity) -> Tensor:
    match solver:
        case Euler():
            return _euler(state, levels, velocity)
        case DPMSolver():
            return _dpm(state, levels, velocity)


def _euler(state: Tensor, levels: list[float], velocity: Velocity) -> Tensor:
    for tau, tau_next in pairwise(levels):
        state = state + (tau - tau_next) * velocity(state, tau)
    return state


def _dpm(state: Tensor, levels: list[float], velocity: Velocity) -> Tensor:
    """Integrate D = s + tau V by multistep DPM-Solver++ of order 3 (Lu et al. 2022, arXiv:2211.01095)."""
    means: list[Tensor] = []
    num_steps = len(levels) - 1
    lams = [math.log(1.0 / tau - 1.0) for tau in levels]
    for step, (tau, tau_next) in enumerate(pairwise(levels)):
        means = [*means[-2:], state + tau * velocity(state, tau)]
        order = min(3, step + 1, num_steps - step if num_steps < 10 else 3)
        correction = _correction(means[-order:], lams[step + 1 - order : step + 2])
        h = lams[step + 1] - lams[step]
        mean = -math.expm1(-h) * means[-1] + correction
        state = (tau_next / tau) * state + (1.0 - tau_next) * mean
    return state


def _correction(means: list[Tensor], lams: list[float]) -> Tensor:
    """Return the contribution of one or two earlier D to a step, from the log-SNRs of all D and of the step's end."""
    if len(means) == 1:
        return torch.zeros_like(means[0])
    h = lams[-1] - lams[-2]
    phi_1 = math.expm1(-h)
    r_0 = (lams[-2] - lams[-3]) / h
    slope_0 = (means[-1] - means[-2]) / r_0
    if len(means) == 2:
        return -0.5 * phi_1 * slope_0
    r_1 = (lams[-3] - lams[-4]) / h
    slope_1 = (means[-2] - means[-3]) / r_1
    first = slope_0 + r_0 / (r_0 + r_1) * (slope_0 - slope_1)
    second = (slope_0 - slope_1) / (r_0 + r_1)
    phi_2 = phi_1 / h + 1.0
    phi_3 = phi_2 / h - 0.5
    return phi_2 * first - phi_3 * second
