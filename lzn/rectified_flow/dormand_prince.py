"""Steps of the Dormand-Prince 5(4) method with adaptive step size.

The pair is that of Dormand and Prince 1980, "A family of embedded Runge-Kutta formulae". The starting step and the
step control are those of Hairer, Norsett and Wanner, "Solving Ordinary Differential Equations I", section II.4, with
the constants of `scipy.integrate.solve_ivp`, so both need the same number of evaluations. The whole batch has one step
size, as in the paper's evaluation.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from lzn.rectified_flow.counted_velocity import ADVICE, CountedVelocity, OdeError

# Nodes c and rows a of stages 2 to 6. The row of stage 7 is the solution's weights b: stage 7 is the
# velocity at the new point, and the first stage of the next step ("first same as last").
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


class Point(NamedTuple):
    """A point of the trajectory, the velocity there, and the step size to try next."""

    t: float
    x: Tensor
    v: Tensor
    step_size: float


class _Trial(NamedTuple):
    """State and velocity at the end of a step before it is accepted, and the estimated error."""

    x: Tensor
    v: Tensor
    error: Tensor


class Tolerance(NamedTuple):
    """Relative and absolute tolerance of one step."""

    rtol: float
    atol: float

    def scale(self, size: Tensor) -> Tensor:
        """Return the allowed error of each element of a state with absolute values `size`."""
        return self.atol + self.rtol * size


def starting_point(
    velocity: CountedVelocity, x: Tensor, t: float, t_end: float, tolerance: Tolerance
) -> Point:
    """Choose the starting step from the sizes of the state, its velocity and its acceleration (Hairer et al.)."""
    interval = abs(t_end - t)
    direction = math.copysign(1.0, t_end - t)
    scale = tolerance.scale(x.abs())
    v = velocity(x, t)
    d0, d1 = _rms(x / scale), _rms(v / scale)
    if not (math.isfinite(d0) and math.isfinite(d1)):
        raise OdeError(f"the state or the velocity at t = {t:.6g} is not finite: {ADVICE}")
    h0 = min(1e-6 if d0 < 1e-5 or d1 < 1e-5 else 0.01 * d0 / d1, interval)
    v_next = velocity(x + direction * h0 * v, t + direction * h0)
    d2 = _rms((v_next - v) / scale) / h0
    if not math.isfinite(d2):
        raise OdeError(f"the velocity right after t = {t:.6g} is not finite: {ADVICE}")
    fastest = max(d1, d2)
    h1 = 1e-6 if fastest <= 1e-15 else (0.01 / fastest) ** -_ERROR_EXPONENT
    return Point(t=t, x=x, v=v, step_size=min(100 * h0, h1, interval))


def accepted_step(velocity: CountedVelocity, point: Point, t_end: float, tolerance: Tolerance) -> Point:
    """Take one step, with a smaller step size each time its error is too large."""
    direction = math.copysign(1.0, t_end - point.t)
    smallest = 10 * abs(math.nextafter(point.t, direction * math.inf) - point.t)
    step_size = max(point.step_size, smallest)
    largest_factor = _MAX_FACTOR
    while step_size >= smallest:
        t_new = point.t + direction * step_size
        if direction * (t_new - t_end) > 0:
            t_new = t_end
        h = t_new - point.t
        new = _dormand_prince(velocity, point, h, t_new)
        error_norm = _rms(new.error / tolerance.scale(torch.maximum(point.x.abs(), new.x.abs())))
        step_size = abs(h) * min(largest_factor, _step_factor(error_norm))
        if error_norm < 1:
            return Point(t=t_new, x=new.x, v=new.v, step_size=step_size)
        largest_factor = 1.0  # after a rejected step the step size must not grow
    cause = "the problem is too stiff for RK45" if math.isfinite(error_norm) else ADVICE
    raise OdeError(
        f"the step size became too small at t = {point.t:.6g} (last error {error_norm:.3g}): {cause}"
    )


def _step_factor(error_norm: float) -> float:
    """Return the factor of the step size after a step with this error; errors below 1 are accepted."""
    if error_norm == 0:
        return _MAX_FACTOR
    if not math.isfinite(error_norm):
        return _MIN_FACTOR
    factor: float = _SAFETY * error_norm**_ERROR_EXPONENT
    return min(_MAX_FACTOR, max(_MIN_FACTOR, factor))


def _dormand_prince(velocity: CountedVelocity, point: Point, h: float, t_new: float) -> _Trial:
    """Compute the state of order 5 after a step of size h, and the error of that of order 4; six evaluations."""
    stages = [point.v]
    for node, weights in zip(_NODES, _STAGE_WEIGHTS, strict=True):
        stages.append(velocity(point.x + h * _weighted_sum(stages, weights), point.t + node * h))
    x_new = point.x + h * _weighted_sum(stages, _SOLUTION_WEIGHTS)
    stages.append(velocity(x_new, t_new))
    return _Trial(x=x_new, v=stages[-1], error=h * _weighted_sum(stages, _ERROR_WEIGHTS))


def _weighted_sum(stages: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    total = stages[0] * weights[0]
    for stage, weight in zip(stages[1:], weights[1:], strict=True):
        if weight != 0:
            total = torch.add(total, stage, alpha=weight)
    return total


def _rms(x: Tensor) -> float:
    """Compute the root mean square over all elements, with a float64 sum (a batch has tens of millions)."""
    return float(torch.linalg.vector_norm(x, dtype=torch.float64)) / math.sqrt(x.numel())
