"""How far a training is: what a checkpoint has to hold beside tensors."""

import time
from dataclasses import dataclass, field
from typing import Any

from lzn.training.tally import Totals


class TrainingDivergedError(RuntimeError):
    """Too many steps in a row had a non-finite loss."""


@dataclass(frozen=True)
class CurvePoint:
    """Means of the watched values over the steps since the last point.

    Attributes:
        step: finished steps.
        values: means by name.
        unix_time: seconds, when the point was made; not part of the result, which is the same in every repetition.
    """

    step: int
    values: dict[str, float]
    unix_time: float


@dataclass
class Progress:
    """Finished steps, the curve, and the totals of the steps as they were last read from the device."""

    step: int = 0
    totals: Totals = field(default_factory=Totals)
    curve: list[CurvePoint] = field(default_factory=list)

    def state_dict(self) -> dict[str, Any]:
        """Plain values that `from_state_dict` takes."""
        return {
            "step": self.step,
            "totals": vars(self.totals),
            "curve": [vars(point) for point in self.curve],
        }

    @staticmethod
    def from_state_dict(state: dict[str, Any]) -> "Progress":
        """The progress that `state_dict` described."""
        curve = [CurvePoint(**point) for point in state["curve"]]
        return Progress(step=state["step"], totals=Totals(**state["totals"]), curve=curve)

    def check(self, *, max_bad_steps: int) -> None:
        """See to it that the training does not diverge.

        Raises:
            TrainingDivergedError: ``max_bad_steps`` in a row were skipped.
        """
        if self.totals.max_bad_in_a_row >= max_bad_steps:
            raise TrainingDivergedError(
                f"the loss was not finite in {max_bad_steps} steps in a row, by step {self.step}; lower the "
                "learning rates or lengthen warmup_steps, then start again"
            )

    def add_point(self) -> None:
        """Add a point to the curve, if any step since the last one was not skipped."""
        totals = self.totals
        if not totals.num_summed:
            return
        values = {name: total / totals.num_summed for name, total in totals.sums.items()}
        values["skipped_steps"] = float(totals.num_skipped)
        self.curve.append(CurvePoint(self.step, values, unix_time=time.time()))
