"""A sampler of the image ODE with a time limit, for requests of others."""

import time
from dataclasses import dataclass, field

import torch
from torch import Tensor

from lzn.inference.errors import UserError
from lzn.rectified_flow.ode import OdeSolution, Sampler
from lzn.rectified_flow.path import Velocity


@dataclass
class TimedSampler:
    """Calls another sampler until a time limit, which begins at the first call and holds for all calls together.

    Attributes:
        sampler: the other sampler.
        max_seconds: the limit.
    """

    sampler: Sampler
    max_seconds: float
    _end: float = field(default=0.0, init=False)

    def integrate(self, velocity: Velocity, x: Tensor, *, t_start: float, t_end: float) -> OdeSolution:
        """Solve the ODE; see `Sampler`.

        Raises:
            UserError: the time is over.
        """
        if not self._end:
            self._end = time.monotonic() + self.max_seconds

        def until_the_end(x: Tensor, t: Tensor) -> Tensor:
            if time.monotonic() > self._end:
                raise UserError(
                    f"the images need more than {self.max_seconds:g} seconds: ask for fewer images or steps"
                )
            velocities: Tensor = velocity(x, t)
            if velocities.device.type == "cuda":
                torch.cuda.synchronize(velocities.device)  # the clock must not run ahead of the device
            return velocities

        return self.sampler.integrate(until_the_end, x, t_start=t_start, t_end=t_end)
