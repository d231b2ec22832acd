"""The functions that the training loop calls: progress, curve, snapshots, and the request to stop."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from lzn.training.progress import CurvePoint


@dataclass(frozen=True, kw_only=True)
class TrainingCallbacks:
    """Functions that `lzn.training.train` calls.

    Only the first of several processes calls ``on_curve`` and ``on_snapshot``.

    Attributes:
        on_step: called with the number of finished steps, before the first step and after each step.
        on_curve: called with the curve every ``schedule.log_every`` steps, and after each checkpoint is saved. A
            resumed run also calls it before its first step, with the points up to its checkpoint, because the earlier
            process may have ended before the call; it repeats the calls for later points.
        on_snapshot: called after each of ``schedule.snapshot_steps`` with the step and a copy of the averaged weights
            (a state dict of the model, with buffers). The checkpoint of that step is saved later, so that a killed
            process loses no snapshot; the resumed run can repeat the call.
        should_stop: called after each step; if it returns True, a checkpoint is saved and the run ends. Several
            processes call it only every ``schedule.log_every`` steps and at checkpoints, and all end if one returns
            True.
    """

    on_step: Callable[[int], object] = lambda step: None
    on_curve: Callable[[tuple[CurvePoint, ...]], object] = lambda curve: None
    on_snapshot: Callable[[int, Mapping[str, Tensor]], object] = lambda step, weights: None
    should_stop: Callable[[], bool] = lambda: False
