"""Functions that tests run in several processes: trainings with gathered anchors, and slow writing."""

import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from lzn.base.parallel import Processes
from lzn.flow import Euler, compute_latents, gather_anchors
from lzn.training import CheckpointFolder, gradient_sums, train
from lzn_testing.models.toy_training import ToyStep, toy_batches, toy_model, toy_schedule

NUM, DIM = 12, 5


def own_encoder() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, DIM))


def batch_of_all() -> tuple[Tensor, Tensor]:
    """Return the inputs and the noise of the global batch."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(NUM, 3, generator=generator), torch.randn(NUM, DIM, generator=generator)


def gradients_under_ddp(processes: Processes) -> list[Tensor]:
    """Compute the gradients of an encoder as a user of DistributedDataParallel does, with one more line."""
    encoder: Any = own_encoder()
    if processes.count > 1:
        encoder = DistributedDataParallel(encoder)
    inputs, noise = batch_of_all()
    own = processes.share_of(NUM).rows
    anchors, rows = gather_anchors(encoder(inputs[own]))
    assert rows == own
    latents = compute_latents(anchors, noise[own], rows=rows, solver=Euler(num_steps=8))
    latents.square().mean(dim=1).sin().mean().backward()
    return [p.grad for p in encoder.parameters()]


def gather_uneven_anchors(processes: Processes) -> tuple[Tensor, list[int], str]:
    """Gather 1, 2, ... anchors; return them, the own rows, and the message without sizes."""
    sizes = [rank + 1 for rank in range(processes.count)]
    own = torch.full((sizes[processes.rank], 2), float(processes.rank))
    anchors, rows = gather_anchors(own, sizes=sizes)
    try:
        gather_anchors(own)
    except ValueError as error:
        return anchors, list(range(len(anchors)))[rows], str(error)
    raise AssertionError("unreachable")


def gather_in_a_group(processes: Processes) -> tuple[Tensor, list[int]]:
    """Gather the anchors of two groups of two processes."""
    groups = [distributed.new_group([0, 1]), distributed.new_group([2, 3])]
    own = torch.full((1, 2), float(processes.rank))
    anchors, rows = gather_anchors(own, groups[processes.rank // 2])
    return anchors, list(range(len(anchors)))[rows]


def sums_during_backward(processes: Processes) -> tuple[list[int], list[list[Tensor]]]:
    """Sum gradients in five steps, each parameter in its own bucket; one is frozen before the fourth step.

    Returns:
        For each step, the number of sums that were sent before the gradient of the first layer; and the gradients.
    """
    gradient_sums.MAX_BUCKET_BYTES = 1
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 2))
    num_sent, gradients = [], []
    sums = gradient_sums.GradientSums(model, processes)
    for step in range(5):
        if step == 3:
            model[1].bias.requires_grad_(False)
        model.zero_grad()
        hidden = model[0](torch.full((2, 3), processes.rank + step + 1.0))
        hidden.register_hook(lambda _: num_sent.append(sums.num_sent))
        sums.restart()
        with sums.last_backward():
            model[2](model[1](hidden)).square().sum().backward()
        gradients.append([p.grad for p in model.parameters() if p.grad is not None])
    sums.close()
    return num_sent, gradients


class SlowFolder(CheckpointFolder):
    """A checkpoint folder on a slow disk."""

    def save(self, step: int, state: dict[str, Any]) -> Path:
        time.sleep(SLOW_SECONDS)
        return super().save(step, state)

    def load_newest(
        self, *, device: torch.device | str = "cpu", up_to: int | None = None
    ) -> dict[str, Any] | None:
        time.sleep(SLOW_SECONDS)
        return super().load_newest(device=device, up_to=up_to)


TIME_LIMIT = timedelta(seconds=3)
SLOW_SECONDS = 4.0


def train_with_slow_writing(processes: Processes, folder: Path) -> bool:
    """Train while the first process takes longer than the time limit of collective operations for what it writes."""
    if processes.is_first:
        time.sleep(SLOW_SECONDS)
    schedule = toy_schedule(num_steps=2, checkpoint_every=1)
    train(
        toy_model(),
        ToyStep(),
        toy_batches(schedule),
        schedule,
        seed=0,
        processes=processes,
        checkpoints=SlowFolder(folder),
    )
    return True
