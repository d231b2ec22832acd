"""A sampler of the image ODE with a time limit."""

import time
from dataclasses import dataclass, field

import torch
from torch import Tensor

from lzn.inference.errors import UserError
from lzn.rectified_flow.ode import OdeSolution, Sampler
from lzn.rectified_flow.path import Velocity

MEASURED_SECONDS = 2.0
TOLERANCE = 2.0


@dataclass
class TimedSampler:
    """Calls another sampler until a time limit, which begins at the first call and holds for all calls together.

    Work that clearly needs longer is refused after `MEASURED_SECONDS`: the time of all solutions is estimated from the
    part of the time t that has been solved. Adaptive steps and the first evaluations make this inexact, so an
    estimate up to `TOLERANCE` times the limit is tried.

    Attributes:
        sampler: the other sampler.
        max_seconds: the limit.
        num_solutions: number of calls.
        advice: what to do, for the message.
    """

    sampler: Sampler
    max_seconds: float
    num_solutions: int = 1
    advice: str = "ask for fewer images or steps"
    _start: float = field(default=0.0, init=False)
    _num_solved: int = field(default=0, init=False)

    def integrate(self, velocity: Velocity, x: Tensor, *, t_start: float, t_end: float) -> OdeSolution:
        """Solve the ODE; see `Sampler`.

        Raises:
            UserError: the time is over, or would be.
        """
        self._start = self._start or time.monotonic()

        def until_the_end(x: Tensor, t: Tensor) -> Tensor:
            self._require_time((float(t.flatten()[0]) - t_start) / (t_end - t_start))
            velocities: Tensor = velocity(x, t)
            if velocities.device.type == "cuda":
                torch.cuda.synchronize(velocities.device)  # the clock must not run ahead of the device
            return velocities

        solution = self.sampler.integrate(until_the_end, x, t_start=t_start, t_end=t_end)
        self._num_solved += 1
        return solution

    def _require_time(self, solved: float) -> None:
        """Raise UserError if the time is over, or would be. ``solved`` is the part of the present solution."""
        elapsed = time.monotonic() - self._start
        part = (self._num_solved + min(max(solved, 0.0), 1.0)) / self.num_solutions
        estimated = elapsed / part if part > 0 else 0.0
        if elapsed > self.max_seconds:
            raise UserError(f"the images need more than {self.max_seconds:g} seconds: {self.advice}")
        if elapsed > MEASURED_SECONDS and estimated > TOLERANCE * self.max_seconds:
            raise UserError(
                f"the images need about {estimated:.0f} seconds, more than {self.max_seconds:g}: {self.advice}"
            )
