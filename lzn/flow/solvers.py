"""Fixed-grid solvers of the flow between the Gaussian prior and the anchors (sections 2.2.1 and A).

A solver sees the flow only through a *denoiser*: ``denoise(s, tau) -> D(s, 1 - tau)``, the posterior mean of
the anchor, shape (m, q). The velocity in ``t`` is ``V = (D - s) / tau``. Both solvers are plain tensor
arithmetic, so gradients pass through every step.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor

from lzn.flow.straight_start import StraightStart

Denoiser = Callable[[Tensor, float], Tensor]


@dataclass(frozen=True)
class Euler:
    """Euler's method with ``num_steps`` equal steps.

    Latent computation runs ``tau`` from ``g`` to 1; the flow towards the anchors runs from 1 to 0, with its last
    velocity at ``tau = 1 / num_steps``.

    Raises:
        ValueError: ``num_steps`` is below 1 or ``g`` is outside (0, 1).
    """

    num_steps: int = 20
    g: float = 1e-4

    def __post_init__(self) -> None:
        _check_solver(self.num_steps, self.g, largest_g=1.0)

    def grid_to_latents(self) -> tuple[float, ...]:
        """Noise levels ``tau`` from the anchors to the latents, ``num_steps + 1`` of them."""
        return _uniform_grid(self.g, 1.0, self.num_steps)

    def grid_to_anchors(self) -> tuple[float, ...]:
        """Noise levels ``tau`` from the latents to the anchors, ``num_steps + 1`` of them."""
        return _uniform_grid(1.0, 0.0, self.num_steps)

    def integrate(
        self, state: Tensor, grid: tuple[float, ...], denoise: Denoiser, *, start: StraightStart | None = None
    ) -> Tensor:
        """The state (m, q) at ``grid[-1]``, from the state (m, q) at ``grid[0]``; the steps of ``start`` as it says."""
        if start is not None:
            state, grid = start.advance(state, grid), grid[start.num_steps :]
        for tau, tau_next in pairwise(grid):
            mean = denoise(state, tau)
            ratio = tau_next / tau  # s + (tau' - tau) (s - D) / tau = D + (tau' / tau) (s - D)
            state = mean + ratio * (state.to(mean.dtype) - mean)
        return state


@dataclass(frozen=True)
class DPMSolver:
    """Third-order multistep DPM-Solver++ in data prediction, uniform in ``tau`` (Lu et al. 2022, arXiv:2211.01095).

    The order is that of its formula. Its error falls with the square of the step, as measured: the first step has no
    history and is of order 1, and the public formula, by which the paper's results were made, takes half of the
    interpolating parabola's quadratic term.

    The schedule is ``alpha = 1 - tau``, ``sigma = tau``, ``lambda = log(alpha / sigma)``; the flow is solved between
    ``tau = g`` and ``tau = 1 - g``. The first two steps have orders 1 and 2 for want of a history; with fewer than
    10 steps the order drops again over the last two.

    Raises:
        ValueError: ``num_steps`` is below 1 or ``g`` is outside (0, 0.5).
    """

    num_steps: int = 20
    g: float = 1e-3

    def __post_init__(self) -> None:
        _check_solver(self.num_steps, self.g, largest_g=0.5)

    def grid_to_latents(self) -> tuple[float, ...]:
        """Noise levels ``tau`` from the anchors to the latents, ``num_steps + 1`` of them."""
        return _uniform_grid(self.g, 1.0 - self.g, self.num_steps)

    def grid_to_anchors(self) -> tuple[float, ...]:
        """Noise levels ``tau`` from the latents to the anchors, ``num_steps + 1`` of them."""
        return _uniform_grid(1.0 - self.g, self.g, self.num_steps)

    def integrate(
        self, state: Tensor, grid: tuple[float, ...], denoise: Denoiser, *, start: StraightStart | None = None
    ) -> Tensor:
        """The state (m, q) at ``grid[-1]``, from the state (m, q) at ``grid[0]``; the steps of ``start`` as it says."""
        num_steps, first_step = len(grid) - 1, 0
        history: list[tuple[float, Tensor]] = []  # (lambda, D), newest last
        if start is not None:
            state, first_step = start.advance(state, grid), start.num_steps
            history = [(_half_log_snr(tau), start.mean) for tau in grid[:first_step]]
        for step, (tau, tau_next) in enumerate(pairwise(grid[first_step:]), start=first_step):
            mean = denoise(state, tau)
            history = [(lam, past.to(mean.dtype)) for lam, past in history[-2:]]
            history.append((_half_log_snr(tau), mean))
            steps_left = num_steps - step if num_steps < 10 else 3
            order = min(3, step + 1, steps_left)
            state = _multistep_update(state.to(mean.dtype), history[-order:], tau, tau_next)
        return state


Solver = Euler | DPMSolver


def _multistep_update(
    state: Tensor, history: list[tuple[float, Tensor]], tau: float, tau_next: float
) -> Tensor:
    """One step of DPM-Solver++ from ``tau`` to ``tau_next``; its order is the length of ``history``."""
    lam, mean = history[-1]
    h = _half_log_snr(tau_next) - lam
    phi_1 = math.expm1(-h)
    alpha_next = 1.0 - tau_next
    state = (tau_next / tau) * state - (alpha_next * phi_1) * mean
    if len(history) == 1:
        return state
    lam_1, mean_1 = history[-2]
    r_0 = (lam - lam_1) / h
    slope_0 = (mean - mean_1) / r_0
    if len(history) == 2:
        return state - (0.5 * alpha_next * phi_1) * slope_0
    lam_2, mean_2 = history[-3]
    r_1 = (lam_1 - lam_2) / h
    slope_1 = (mean_1 - mean_2) / r_1
    first = slope_0 + (r_0 / (r_0 + r_1)) * (slope_0 - slope_1)
    second = (slope_0 - slope_1) / (r_0 + r_1)
    phi_2 = phi_1 / h + 1.0
    phi_3 = phi_2 / h - 0.5
    return state + (alpha_next * phi_2) * first - (alpha_next * phi_3) * second


def _half_log_snr(tau: float) -> float:
    return math.log((1.0 - tau) / tau)


def _uniform_grid(start: float, end: float, num_steps: int) -> tuple[float, ...]:
    inner = (start + (end - start) * k / num_steps for k in range(num_steps))
    return (*inner, end)


def _check_solver(num_steps: int, g: float, *, largest_g: float) -> None:
    if num_steps < 1:
        raise ValueError(f"num_steps must be at least 1, got {num_steps}")
    if not 0.0 < g < largest_g:
        raise ValueError(f"g must lie strictly between 0 and {largest_g}, got {g}")
