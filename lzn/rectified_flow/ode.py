"""Solvers of the image ODE dx/dt = v(x, t): Euler on a fixed grid and adaptive RK45 (appendix C).

Both compute on the device and in the dtype of x, in either direction of time: `t_end < t_start` inverts the flow.
Call them under `torch.no_grad()` unless gradients are needed. The steps of RK45 are in `dormand_prince`.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from lzn.rectified_flow.counted_velocity import ADVICE, CountedVelocity, OdeError
from lzn.rectified_flow.dormand_prince import Tolerance, accepted_step, starting_point
from lzn.rectified_flow.path import Velocity

__all__ = [
    "EulerSampler",
    "OdeError",
    "OdeSolution",
    "RK45Sampler",
    "Sampler",
    "integrate_euler",
    "integrate_rk45",
]

_MAX_EVALUATIONS = 10_000


@dataclass(frozen=True, eq=False)
class OdeSolution:
    """State at `t_end`, of the initial state's shape, and the number of evaluations of the velocity."""

    x: Tensor
    num_evaluations: int


def integrate_euler(
    velocity: Velocity, x: Tensor, *, t_start: float, t_end: float, num_steps: int
) -> OdeSolution:
    """Solve dx/dt = v(x, t) by `num_steps` equal Euler steps, one evaluation each.

    Args:
        velocity: v, called with x (b, ...) and t (b,); its result is cast to the dtype of x.
        x: state at `t_start`, (b, ...), floating point.
        t_start: time of `x`.
        t_end: time of the result; less than `t_start` solves backwards.
        num_steps: number of steps, at least 1.

    Raises:
        ValueError: an argument is out of its range, or the velocity has another shape than x.
        OdeError: the result is not finite.
    """
    _require_positive("num_steps", num_steps)
    _require_valid_problem(x, t_start, t_end)
    counted = CountedVelocity(velocity, max_evaluations=num_steps)
    h = (t_end - t_start) / num_steps
    for step in range(num_steps):
        x = x + h * counted(x, t_start + step * h)
    # A non-finite state stays non-finite, so one check at the end is enough.
    if not bool(torch.isfinite(x).all()):
        raise OdeError(f"the state is not finite after {num_steps} Euler steps: {ADVICE}")
    return OdeSolution(x=x, num_evaluations=num_steps)


def integrate_rk45(
    velocity: Velocity,
    x: Tensor,
    *,
    t_start: float,
    t_end: float,
    rtol: float = 1e-5,
    atol: float = 1e-5,
    max_evaluations: int = _MAX_EVALUATIONS,
) -> OdeSolution:
    """Solve dx/dt = v(x, t) by Dormand-Prince 5(4) with adaptive steps, the same for the whole batch.

    A step is accepted when the root mean square over all elements of the batch of
    error / (atol + rtol max(|x|, |x_new|)) is below 1. Each step synchronises with the device to read this number.

    Args:
        velocity, x, t_start, t_end: as for `integrate_euler`.
        rtol: relative tolerance, at least ten times the epsilon of the dtype of x.
        atol: absolute tolerance, positive.
        max_evaluations: largest number of evaluations of the velocity.

    Raises:
        ValueError: an argument is out of its range, or the velocity has another shape than x.
        OdeError: the velocity is not finite, the step size vanished, or `max_evaluations` was reached.
    """
    _require_positive("atol", atol)
    _require_positive("max_evaluations", max_evaluations)
    _require_valid_problem(x, t_start, t_end)
    _require_resolvable(rtol, x.dtype)
    if t_start == t_end:
        return OdeSolution(x=x, num_evaluations=0)
    tolerance = Tolerance(rtol=rtol, atol=atol)
    counted = CountedVelocity(velocity, max_evaluations=max_evaluations)
    point = starting_point(counted, x, t_start, t_end, tolerance)
    while point.t != t_end:
        point = accepted_step(counted, point, t_end, tolerance)
    return OdeSolution(x=point.x, num_evaluations=counted.num_evaluations)


@dataclass(frozen=True)
class EulerSampler:
    """Euler with a fixed number of steps, at least 1 (figures 17 and 24 of the paper)."""

    num_steps: int

    def __post_init__(self) -> None:
        _require_positive("num_steps", self.num_steps)

    def integrate(self, velocity: Velocity, x: Tensor, *, t_start: float, t_end: float) -> OdeSolution:
        """See `integrate_euler`."""
        return integrate_euler(velocity, x, t_start=t_start, t_end=t_end, num_steps=self.num_steps)


@dataclass(frozen=True)
class RK45Sampler:
    """Adaptive RK45, by default with the paper's tolerances."""

    rtol: float = 1e-5
    atol: float = 1e-5
    max_evaluations: int = _MAX_EVALUATIONS

    def __post_init__(self) -> None:
        _require_positive("rtol", self.rtol)
        _require_positive("atol", self.atol)
        _require_positive("max_evaluations", self.max_evaluations)

    def integrate(self, velocity: Velocity, x: Tensor, *, t_start: float, t_end: float) -> OdeSolution:
        """See `integrate_rk45`."""
        return integrate_rk45(
            velocity, x, t_start=t_start, t_end=t_end,
            rtol=self.rtol, atol=self.atol, max_evaluations=self.max_evaluations,
        )  # fmt: skip


Sampler = EulerSampler | RK45Sampler


def _require_positive(name: str, value: float) -> None:
    if not value > 0:
        raise ValueError(f"{name} must be positive, got {value}")


def _require_resolvable(rtol: float, dtype: torch.dtype) -> None:
    smallest = 10 * torch.finfo(dtype).eps
    if not rtol >= smallest:
        raise ValueError(f"rtol must be at least {smallest:.1e} for {dtype}, got {rtol}")


def _require_valid_problem(x: Tensor, t_start: float, t_end: float) -> None:
    if not x.is_floating_point() or x.ndim == 0 or x.numel() == 0:
        raise ValueError(f"x must be a non-empty float batch (b, ...), got {x.dtype} {tuple(x.shape)}")
    if not (math.isfinite(t_start) and math.isfinite(t_end)):
        raise ValueError(f"t_start and t_end must be finite, got {t_start} and {t_end}")
