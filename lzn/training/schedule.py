"""The hyperparameters of a training run (method section 6)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar


@dataclass(frozen=True, kw_only=True)
class TrainingSchedule:
    """Hyperparameters of a training run.

    Attributes:
        num_steps: number of training steps ("iterations").
        batch_size: number of samples of the global batch.
        learning_rates: Adam's learning rate of each part of the model, by its name: a child (``decoder``), a deeper
            submodule or a parameter (``encoder.head``, ``scale``), or the whole model (an empty name). The longest name
            that fits a parameter counts.
        warmup_steps: number of steps in which the learning rate rises linearly from ``lr / warmup_steps``.
        ema_decay: final decay of the exponential moving average.
        max_gradient_norm: the norm over all parameters is clipped to this.
        random_flips: whether images are flipped horizontally at random.
        freeze_after: number of steps after which a part of the model is frozen, by its name.
        log_every: number of steps of a point of the curve, which is a mean over them. The host synchronises with the
            device only every ``log_every`` steps and at checkpoints.
        checkpoint_every: number of steps between checkpoints.
        snapshot_steps: numbers of finished steps after which the averaged weights are passed to ``on_snapshot``.
        max_bad_steps: number of steps in a row with a non-finite loss that end the run. They are found when the host
            synchronises, and have no effect on the parameters.

    Raises:
        ValueError: a number is out of range.
    """

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid", "strict": True}

    num_steps: int
    batch_size: int
    learning_rates: Mapping[str, float]
    warmup_steps: int
    ema_decay: float
    max_gradient_norm: float = 1.0
    random_flips: bool = False
    freeze_after: Mapping[str, int] = field(default_factory=dict)
    log_every: int = 50
    checkpoint_every: int = 500
    snapshot_steps: tuple[int, ...] = ()
    max_bad_steps: int = 50

    def __post_init__(self) -> None:
        for name in (
            "num_steps",
            "batch_size",
            "warmup_steps",
            "log_every",
            "checkpoint_every",
            "max_bad_steps",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not self.max_gradient_norm > 0 or not 0.0 <= self.ema_decay < 1.0:
            raise ValueError("max_gradient_norm must be positive and ema_decay in [0, 1)")
        for child, rate in self.learning_rates.items():
            if not 0.0 < rate < math.inf:
                raise ValueError(f"learning_rates.{child} must be positive and finite, got {rate}")
        unknown = sorted(set(self.freeze_after) - set(self.learning_rates))
        if unknown:
            raise ValueError(
                f"freeze_after contains {unknown}, which have no learning rate in learning_rates"
            )
        outside = [step for step in self.snapshot_steps if not 1 <= step <= self.num_steps]
        if outside:
            raise ValueError(f"snapshot_steps must lie in [1, num_steps={self.num_steps}], got {outside}")

    def shaping_values(self) -> dict[str, object]:
        """Return the settings that change the parameters of a step; a resumed run must have the same ones."""
        return {
            "batch_size": self.batch_size,
            "learning_rates": dict(sorted(self.learning_rates.items())),
            "warmup_steps": self.warmup_steps,
            "ema_decay": self.ema_decay,
            "max_gradient_norm": self.max_gradient_norm,
            "random_flips": self.random_flips,
            "freeze_after": dict(sorted(self.freeze_after.items())),
        }

    def warmup_factor(self, step: int) -> float:
        """Return the factor of the learning rates at ``step`` (from 0)."""
        return min(1.0, (step + 1) / self.warmup_steps)

    def is_due(self, step: int, *, every: int) -> bool:
        """Return whether ``step`` finished steps are a multiple of ``every``, or all steps."""
        return step % every == 0 or step == self.num_steps
