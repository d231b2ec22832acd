"""Solvers of the image ODE dx/dt = v(x, t): Euler on a fixed grid and adaptive RK45 (appendix C).

Both run on the device and in the dtype of x, in either direction of time; `t_end < t_start` is the inverse.
They keep no graph of their own: call them under `torch.no_grad()` unless gradients are wanted.

RK45 is the pair of Dormand and Prince 1980, "A family of embedded Runge-Kutta formulae", with the starting
step and the step control of Hairer, Norsett and Wanner, "Solving Ordinary Differential Equations I", section
II.4, and the constants of `scipy.integrate.solve_ivp`, so that both need the same number of evaluations. The
whole batch shares one step size, as in the evaluation of the paper.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from lzn.rectified_flow.path import Velocity

# Dormand-Prince: nodes c and rows a of stages 2 to 6. The solution's weights b are the seventh stage's row,
# since that stage is the velocity at the new point, kept as the next step's first ("first same as last").
_NODES = (1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0)
_STAGE_WEIGHTS = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
)
_SOLUTION_WEIGHTS = (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84)
_ERROR_WEIGHTS = (-71 / 57600, 0.0, 71 / 16695, -71 / 1920, 17253 / 339200, -22 / 525, 1 / 40)

_SAFETY = 0.9
_MIN_FACTOR = 0.2
_MAX_FACTOR = 10.0
_ERROR_EXPONENT = -1 / 5  # the error of the order 4 solution is proportional to h^5

_MAX_EVALUATIONS = 10_000


class OdeError(RuntimeError):
    """The ODE could not be solved: non-finite velocities, a vanishing step, or too many evaluations."""


@dataclass(frozen=True, eq=False)
class OdeSolution:
    """State at `t_end`, shape of the initial state, and how often the velocity was evaluated for it."""

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
    field = _Field(velocity, max_evaluations=num_steps)
    h = (t_end - t_start) / num_steps
    for step in range(num_steps):
        x = x + h * field(x, t_start + step * h)
    # A non-finite state never becomes finite again, so one look at the end is enough.
    if not bool(torch.isfinite(x).all()):
        raise OdeError(f"the state is not finite after {num_steps} Euler steps: {_ADVICE}")
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
    error / (atol + rtol max(|x|, |x_new|)) is below 1. That number is all that leaves the device.

    Args:
        velocity, x, t_start, t_end: as for `integrate_euler`.
        rtol: relative tolerance, at least ten times the rounding of the dtype of x.
        atol: absolute tolerance, positive.
        max_evaluations: how many evaluations of the velocity are allowed.

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
    tolerance = _Tolerance(rtol=rtol, atol=atol)
    field = _Field(velocity, max_evaluations=max_evaluations)
    point = _starting_point(field, x, t_start, t_end, tolerance)
    while point.t != t_end:
        point = _accepted_step(field, point, t_end, tolerance)
    return OdeSolution(x=point.x, num_evaluations=field.num_evaluations)


@dataclass(frozen=True)
class EulerSampler:
    """Euler with a fixed number of steps, at least 1: the setting of the paper's figures 17 and 24."""

    num_steps: int

    def __post_init__(self) -> None:
        _require_positive("num_steps", self.num_steps)

    def integrate(self, velocity: Velocity, x: Tensor, *, t_start: float, t_end: float) -> OdeSolution:
        """See `integrate_euler`."""
        return integrate_euler(velocity, x, t_start=t_start, t_end=t_end, num_steps=self.num_steps)


@dataclass(frozen=True)
class RK45Sampler:
    """Adaptive RK45; the paper's tolerances by default."""

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


_ADVICE = "the velocity gives NaN or grows without bound; check the network's weights and its input"


class _Point(NamedTuple):
    """A point of the trajectory, the velocity there, and the step size to try next."""

    t: float
    x: Tensor
    v: Tensor
    step_size: float


class _Trial(NamedTuple):
    """State and velocity at the end of a step that is not accepted yet, and its estimated error."""

    x: Tensor
    v: Tensor
    error: Tensor


class _Tolerance(NamedTuple):
    rtol: float
    atol: float

    def scale(self, size: Tensor) -> Tensor:
        """Error allowed to each element of a state with absolute values `size`."""
        return self.atol + self.rtol * size


class _Field:
    """The velocity at one time for the whole batch, with its evaluations counted."""

    def __init__(self, velocity: Velocity, *, max_evaluations: int) -> None:
        self._velocity = velocity
        self._max_evaluations = max_evaluations
        self.num_evaluations = 0

    def __call__(self, x: Tensor, t: float) -> Tensor:
        if self.num_evaluations >= self._max_evaluations:
            raise OdeError(
                f"t_end not reached after {self._max_evaluations} evaluations, now at t = {t:.6g}: "
                "loosen the tolerances or raise max_evaluations"
            )
        self.num_evaluations += 1
        v = self._velocity(x, torch.full((x.shape[0],), t, dtype=x.dtype, device=x.device))
        if v.shape != x.shape:
            raise ValueError(
                f"velocity must return the shape of x, {tuple(x.shape)}, but returned {tuple(v.shape)}"
            )
        return v.to(x.dtype)


def _starting_point(field: _Field, x: Tensor, t: float, t_end: float, tolerance: _Tolerance) -> _Point:
    """Hairer's starting step: small against the state, its velocity and the velocity's change."""
    interval = abs(t_end - t)
    direction = math.copysign(1.0, t_end - t)
    scale = tolerance.scale(x.abs())
    v = field(x, t)
    d0, d1 = _rms(x / scale), _rms(v / scale)
    if not (math.isfinite(d0) and math.isfinite(d1)):
        raise OdeError(f"the state or the velocity at t = {t:.6g} is not finite: {_ADVICE}")
    h0 = min(1e-6 if d0 < 1e-5 or d1 < 1e-5 else 0.01 * d0 / d1, interval)
    v_next = field(x + direction * h0 * v, t + direction * h0)
    d2 = _rms((v_next - v) / scale) / h0
    if not math.isfinite(d2):
        raise OdeError(f"the velocity right after t = {t:.6g} is not finite: {_ADVICE}")
    fastest = max(d1, d2)
    h1 = 1e-6 if fastest <= 1e-15 else (0.01 / fastest) ** -_ERROR_EXPONENT
    return _Point(t=t, x=x, v=v, step_size=min(100 * h0, h1, interval))


def _accepted_step(field: _Field, point: _Point, t_end: float, tolerance: _Tolerance) -> _Point:
    """One step, shrunk until its error is accepted."""
    direction = math.copysign(1.0, t_end - point.t)
    smallest = 10 * abs(math.nextafter(point.t, direction * math.inf) - point.t)
    step_size = max(point.step_size, smallest)
    largest_factor = _MAX_FACTOR
    while step_size >= smallest:
        t_new = point.t + direction * step_size
        if direction * (t_new - t_end) > 0:
            t_new = t_end
        h = t_new - point.t
        new = _dormand_prince(field, point, h, t_new)
        error_norm = _rms(new.error / tolerance.scale(torch.maximum(point.x.abs(), new.x.abs())))
        step_size = abs(h) * min(largest_factor, _step_factor(error_norm))
        if error_norm < 1:
            return _Point(t=t_new, x=new.x, v=new.v, step_size=step_size)
        largest_factor = 1.0  # a size right after a rejected one must not grow
    cause = "the problem is too stiff for RK45" if math.isfinite(error_norm) else _ADVICE
    raise OdeError(f"no step is short enough at t = {point.t:.6g} (last error {error_norm:.3g}): {cause}")


def _step_factor(error_norm: float) -> float:
    """By how much to change the step size after a step with this error; 1 is the largest accepted error."""
    if error_norm == 0:
        return _MAX_FACTOR
    if not math.isfinite(error_norm):
        return _MIN_FACTOR
    factor: float = _SAFETY * error_norm**_ERROR_EXPONENT
    return min(_MAX_FACTOR, max(_MIN_FACTOR, factor))


def _dormand_prince(field: _Field, point: _Point, h: float, t_new: float) -> _Trial:
    """One step of size h: the state of order 5, and the error of the order 4 one. Six evaluations."""
    stages = [point.v]
    for node, weights in zip(_NODES, _STAGE_WEIGHTS, strict=True):
        stages.append(field(point.x + h * _weighted_sum(stages, weights), point.t + node * h))
    x_new = point.x + h * _weighted_sum(stages, _SOLUTION_WEIGHTS)
    stages.append(field(x_new, t_new))
    return _Trial(x=x_new, v=stages[-1], error=h * _weighted_sum(stages, _ERROR_WEIGHTS))


def _weighted_sum(stages: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    total = stages[0] * weights[0]
    for stage, weight in zip(stages[1:], weights[1:], strict=True):
        if weight != 0:
            total = torch.add(total, stage, alpha=weight)
    return total


def _rms(x: Tensor) -> float:
    """Root mean square over all elements, summed in float64: a batch of images has tens of millions."""
    return float(torch.linalg.vector_norm(x, dtype=torch.float64)) / math.sqrt(x.numel())


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
