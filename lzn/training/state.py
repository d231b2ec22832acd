"""The state of a training: all that changes from step to step, saved in checkpoints and restored from them."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lzn.ema import ExponentialMovingAverage
from lzn.training.checkpoints import CheckpointFolder
from lzn.training.optimisation import build_optimizer
from lzn.training.progress import Progress
from lzn.training.schedule import TrainingSchedule


@dataclass
class TrainingState:
    """Model, optimiser, averages and progress."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    ema: ExponentialMovingAverage
    progress: Progress

    @staticmethod
    def new(model: nn.Module, schedule: TrainingSchedule) -> "TrainingState":
        """The state before the first step.

        Raises:
            ValueError: the schedule does not fit the model.
        """
        return TrainingState(
            model=model,
            optimizer=build_optimizer(model, schedule),
            ema=ExponentialMovingAverage(model, decay=schedule.ema_decay),
            progress=Progress(),
        )

    def save(self, checkpoints: CheckpointFolder) -> None:
        """Write the newest checkpoint.

        Raises:
            OSError: it cannot be written.
        """
        content = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "ema": self.ema.state_dict(),
            "progress": self.progress.state_dict(),
            "random_state": torch.get_rng_state(),
        }
        checkpoints.save(self.progress.step, content)

    def restore(self, checkpoints: CheckpointFolder, *, device: torch.device | str) -> None:
        """Take over the newest checkpoint that is whole, if there is one."""
        content: dict[str, Any] | None = checkpoints.load_newest(device=device)
        if content is None:
            return
        self.model.load_state_dict(content["model"])
        self.optimizer.load_state_dict(content["optimizer"])
        self.ema.load_state_dict(content["ema"])
        random_state: Tensor = content["random_state"]
        torch.set_rng_state(random_state.cpu())
        self.progress = Progress.from_state_dict(content["progress"])
