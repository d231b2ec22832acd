"""The progress of a training: the part of a checkpoint that is not tensors."""

import time
from dataclasses import dataclass, field
from typing import Any

from lzn.training.totals import Totals


class TrainingDivergedError(RuntimeError):
    """The loss was not finite in too many steps in a row, or in all steps."""


@dataclass(frozen=True)
class CurvePoint:
    """Means of the loss and the metrics over the steps since the last point.

    Attributes:
        step: number of finished steps.
        values: means by name.
        unix_time: time of the point in seconds; it is not part of the reproducible result.
    """

    step: int
    values: dict[str, float]
    unix_time: float


@dataclass
class Progress:
    """The number of finished steps, the curve, and the totals when they were last read from the device."""

    step: int = 0
    totals: Totals = field(default_factory=Totals)
    curve: list[CurvePoint] = field(default_factory=list)

    def state_dict(self) -> dict[str, Any]:
        """Return plain values for `from_state_dict`."""
        return {
            "step": self.step,
            "totals": vars(self.totals),
            "curve": [vars(point) for point in self.curve],
        }

    @staticmethod
    def from_state_dict(state: dict[str, Any]) -> "Progress":
        """Build the progress from the result of `state_dict`."""
        curve = [CurvePoint(**point) for point in state["curve"]]
        return Progress(step=state["step"], totals=Totals(**state["totals"]), curve=curve)

    def raise_if_diverged(self, *, max_bad_steps: int) -> None:
        """Check that the training has not diverged.

        Raises:
            TrainingDivergedError: ``max_bad_steps`` steps in a row were skipped.
        """
        if self.totals.max_bad_in_a_row >= max_bad_steps:
            raise TrainingDivergedError(
                f"the loss was not finite in {max_bad_steps} steps in a row, up to step {self.step}; lower the "
                "learning rates or increase warmup_steps, then start again"
            )

    def add_point(self) -> None:
        """Add a point to the curve, unless all steps since the last point were skipped."""
        totals = self.totals
        if not totals.num_summed:
            return
        values = {name: total / totals.num_summed for name, total in totals.sums.items()}
        values["skipped_steps"] = float(totals.num_skipped)
        self.curve.append(CurvePoint(self.step, values, unix_time=time.time()))

    def drop_last_point_of_a_shorter_training(self) -> None:
        """Remove a point of the current step whose sums were kept; see `TrainingState.read_totals`."""
        if self.totals.num_summed and self.curve and self.curve[-1].step == self.step:
            self.curve.pop()
