"""How far a training is: what a checkpoint has to hold beside tensors."""

import time
from dataclasses import dataclass, field
from typing import Any

from lzn.training.step import Losses


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
    """Finished and skipped steps, and the curve with the sums of its next point."""

    step: int = 0
    num_skipped: int = 0
    num_bad_in_a_row: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    num_summed: int = 0
    curve: list[CurvePoint] = field(default_factory=list)

    def state_dict(self) -> dict[str, Any]:
        """Plain values that `from_state_dict` takes."""
        return {**vars(self), "curve": [vars(point) for point in self.curve]}

    @staticmethod
    def from_state_dict(state: dict[str, Any]) -> "Progress":
        """The progress that `state_dict` described."""
        return Progress(**{**state, "curve": [CurvePoint(**point) for point in state["curve"]]})

    def count(self, losses: Losses | None, *, max_bad_steps: int) -> None:
        """Count a step as finished, or as skipped where it has no losses.

        Raises:
            TrainingDivergedError: it is the last of ``max_bad_steps`` skipped ones in a row.
        """
        self.step += 1
        if losses is None:
            self._skip(max_bad_steps)
        else:
            self._add(losses)

    def close_point(self) -> None:
        """Add a point to the curve, if any step was finished since the last one."""
        if not self.num_summed:
            return
        values = {name: total / self.num_summed for name, total in self.sums.items()}
        values["skipped_steps"] = float(self.num_skipped)
        self.curve.append(CurvePoint(self.step, values, unix_time=time.time()))
        self.sums, self.num_summed = {}, 0

    def _add(self, losses: Losses) -> None:
        self.num_bad_in_a_row = 0
        self.num_summed += 1
        for name, value in {"loss": losses.total.detach(), **losses.watched}.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(value)

    def _skip(self, max_bad_steps: int) -> None:
        self.num_skipped += 1
        self.num_bad_in_a_row += 1
        if self.num_bad_in_a_row >= max_bad_steps:
            raise TrainingDivergedError(
                f"the loss was not finite in {max_bad_steps} steps in a row, up to step {self.step}; lower the "
                "learning rates or lengthen warmup_steps, then start again"
            )
