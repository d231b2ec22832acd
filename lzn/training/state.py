"""The state of a training: all that changes from step to step, saved in checkpoints and restored from them."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from lzn.base.parallel import Processes
from lzn.training.checkpoints import CheckpointFolder
from lzn.training.ema import ExponentialMovingAverage
from lzn.training.optimisation import Outcome, build_optimizer
from lzn.training.progress import Progress
from lzn.training.schedule import TrainingSchedule
from lzn.training.tally import Tally


@dataclass
class TrainingState:
    """Model, optimiser, averages and progress; all processes that train together have the same."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    ema: ExponentialMovingAverage
    progress: Progress
    tally: Tally
    device: torch.device | str

    @staticmethod
    def new(
        model: nn.Module, schedule: TrainingSchedule, processes: Processes, *, device: torch.device | str
    ) -> "TrainingState":
        """The state before the first step, with the first process's weights; ``model`` is on ``device``.

        Raises:
            ValueError: the schedule does not fit the model.
        """
        optimizer = build_optimizer(model, schedule)
        processes.copy_from_first_([*model.parameters(), *model.buffers()])
        progress = Progress()
        return TrainingState(
            model=model,
            optimizer=optimizer,
            ema=ExponentialMovingAverage(model, decay=schedule.ema_decay),
            progress=progress,
            tally=Tally(progress.totals, device=device),
            device=device,
        )

    def finish_step(self, outcome: Outcome | None) -> None:
        """Move the averages and count the step, on the device: nothing waits for it."""
        if outcome is not None:
            self.ema.update(self.model, accepted=outcome.accepted)
        self.tally.count(outcome)
        self.progress.step += 1

    def read_totals(self, schedule: TrainingSchedule) -> None:
        """Bring the progress up to date, which waits for the device, and add a point to the curve where one is due.

        Raises:
            TrainingDivergedError: ``schedule.max_bad_steps`` in a row were skipped.
        """
        self.progress.totals = self.tally.read()
        self.progress.check(max_bad_steps=schedule.max_bad_steps)
        if schedule.is_due(self.progress.step, every=schedule.log_every):
            self.progress.add_point()
            self.progress.totals = replace(self.progress.totals, num_summed=0, sums={})
            self.tally.restart_sums()

    def save(self, checkpoints: CheckpointFolder) -> None:
        """Write the newest checkpoint, of the totals that were read last.

        Raises:
            OSError: it cannot be written.
        """
        content = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "ema": self.ema.state_dict(),
            "progress": self.progress.state_dict(),
        }
        checkpoints.save(self.progress.step, content)

    def restore(self, checkpoints: CheckpointFolder, processes: Processes) -> None:
        """Take over the newest checkpoint that the first process finds to be whole, if it finds one.

        It may have been written by any number of processes. The others read the same file.

        Raises:
            OSError: the others do not find it: the folder is not on a file system that all share.
        """
        content = self._newest(checkpoints, processes)
        if content is None:
            return
        self.model.load_state_dict(content["model"])
        self.optimizer.load_state_dict(content["optimizer"])
        self.ema.load_state_dict(content["ema"])
        self.progress = Progress.from_state_dict(content["progress"])
        self.tally = Tally(self.progress.totals, device=self.device)

    def _newest(self, checkpoints: CheckpointFolder, processes: Processes) -> dict[str, Any] | None:
        content = checkpoints.load_newest(device=self.device) if processes.is_first else None
        found = -1 if content is None else content["progress"]["step"]
        step = torch.tensor([found], device=self.device)
        processes.copy_from_first_([step])
        if content is None and step.item() >= 0:
            content = checkpoints.load(int(step.item()), device=self.device)
        return content
