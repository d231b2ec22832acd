"""The state of a training: everything that changes from step to step, saved in checkpoints."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from lzn.base.parallel import Processes
from lzn.training.checkpoints import CheckpointFolder
from lzn.training.ema import ExponentialMovingAverage
from lzn.training.optimisation import UpdateResult, build_optimizer
from lzn.training.progress import Progress
from lzn.training.schedule import TrainingSchedule
from lzn.training.totals import DeviceTotals


@dataclass
class TrainingState:
    """Model, optimiser, averages and progress; the same in all training processes."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    ema: ExponentialMovingAverage
    progress: Progress
    device_totals: DeviceTotals
    device: torch.device | str
    settings: Mapping[str, object]
    """The settings that change the parameters of a step, by name."""

    @staticmethod
    def new(
        model: nn.Module,
        schedule: TrainingSchedule,
        processes: Processes,
        *,
        seed: int,
        device: torch.device | str,
    ) -> "TrainingState":
        """Build the state before the first step, with the weights of process 0; ``model`` is on ``device``.

        Raises:
            ValueError: the schedule does not match the model.
        """
        optimizer = build_optimizer(model, schedule)
        processes.broadcast_([*model.parameters(), *model.buffers()])
        progress = Progress()
        return TrainingState(
            model=model,
            optimizer=optimizer,
            ema=ExponentialMovingAverage(model, decay=schedule.ema_decay),
            progress=progress,
            device_totals=DeviceTotals(progress.totals, device=device),
            device=device,
            settings={"seed": seed, **schedule.shaping_values()},
        )

    def finish_step(self, result: UpdateResult | None) -> None:
        """Update the averages and count the step, without synchronisation with the device."""
        if result is not None:
            self.ema.update(self.model, accepted=result.accepted)
        self.device_totals.count(result)
        self.progress.step += 1

    def read_totals(self, schedule: TrainingSchedule) -> None:
        """Read the totals from the device, and add a point to the curve if it is due.

        After the last step, the sums are kept if the point lies between two multiples of ``schedule.log_every``: a
        prolonged training replaces this point by that of the next multiple.

        Raises:
            TrainingDivergedError: ``schedule.max_bad_steps`` steps in a row were skipped.
        """
        self.progress.totals = self.device_totals.read()
        self.progress.raise_if_diverged(max_bad_steps=schedule.max_bad_steps)
        if schedule.is_due(self.progress.step, every=schedule.log_every):
            self.progress.add_point()
        if self.progress.step % schedule.log_every == 0:
            self.progress.totals = replace(self.progress.totals, num_summed=0, sums={})
            self.device_totals.restart_sums()

    def save(self, checkpoints: CheckpointFolder) -> None:
        """Save a checkpoint, with the totals of the last `read_totals`.

        Raises:
            OSError: the checkpoint cannot be written.
        """
        content = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "ema": self.ema.state_dict(),
            "progress": self.progress.state_dict(),
            "settings": dict(self.settings),
        }
        checkpoints.save(self.progress.step, content)

    def restore(
        self, checkpoints: CheckpointFolder, processes: Processes, schedule: TrainingSchedule
    ) -> None:
        """Load the newest good checkpoint that process 0 finds, if there is one; the others read the same file.

        Checkpoints after the last step of ``schedule`` are not used. Any number of processes can have written it. If it
        is of a shorter training, this one prolongs it.

        Raises:
            OSError: another process cannot read it, because the folder is not on a shared file system.
            ValueError: the checkpoint is of a training with another seed or schedule.
        """
        content = self._load_newest(checkpoints, processes, up_to=schedule.num_steps)
        if content is None:
            return
        self._check_settings(content)
        self.model.load_state_dict(content["model"])
        self.optimizer.load_state_dict(content["optimizer"])
        self.ema.load_state_dict(content["ema"])
        self.progress = Progress.from_state_dict(content["progress"])
        if self.progress.step < schedule.num_steps:
            self.progress.drop_last_point_of_a_shorter_training()
        self.device_totals = DeviceTotals(self.progress.totals, device=self.device)

    def _check_settings(self, content: dict[str, Any]) -> None:
        saved = content.get("settings", {})
        changed = [
            f"{name}={saved.get(name)}, now {value}"
            for name, value in self.settings.items()
            if saved.get(name) != value
        ]
        if changed:
            raise ValueError(
                f"the checkpoint of step {content['progress']['step']} has {'; '.join(changed)}: resume with the "
                "settings of the checkpoint, or train in another folder"
            )

    def _load_newest(
        self, checkpoints: CheckpointFolder, processes: Processes, *, up_to: int
    ) -> dict[str, Any] | None:
        content = checkpoints.load_newest(device=self.device, up_to=up_to) if processes.is_first else None
        processes.barrier()  # process 0 may read for long
        found = -1 if content is None else content["progress"]["step"]
        step = torch.tensor([found], device=self.device)
        processes.broadcast_([step])
        if content is None and step.item() >= 0:
            content = checkpoints.load(int(step.item()), device=self.device)
        processes.barrier()
        return content
