"""The velocity of an ODE as its solvers call it: at one time for the whole batch, checked and counted."""

import torch
from torch import Tensor

from lzn.rectified_flow.path import Velocity

ADVICE = "the velocity is NaN or grows without bound; check the network's weights and its input"


class OdeError(RuntimeError):
    """The ODE was not solved: non-finite velocities, a vanishing step size, or too many evaluations."""


class CountedVelocity:
    """The velocity at one time for the whole batch; counts its evaluations."""

    def __init__(self, velocity: Velocity, *, max_evaluations: int) -> None:
        self._velocity = velocity
        self._max_evaluations = max_evaluations
        self.num_evaluations = 0

    def __call__(self, x: Tensor, t: float) -> Tensor:
        """Evaluate the velocity of states x (b, ...) at time t, in the dtype of x.

        Raises:
            OdeError: the number of evaluations is used up.
            ValueError: the velocity has another shape than x.
        """
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
