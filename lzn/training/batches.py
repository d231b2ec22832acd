"""From stored images to the batches of training steps, on the device that trains."""

from collections.abc import Generator

import torch
from torch import Tensor

from lzn.base.parallel import Processes
from lzn.base.randomness import BatchRandom, generator_for
from lzn.data import ImageSet, SampleViews, load_batches, random_flips
from lzn.training.schedule import TrainingSchedule
from lzn.training.step import Batch


def training_batches(
    data: ImageSet,
    schedule: TrainingSchedule,
    *,
    seed: int,
    first_step: int,
    device: torch.device | str,
    num_workers: int,
    views: SampleViews | None,
    processes: Processes = Processes(),  # noqa: B008 - immutable
) -> Generator[Batch, None, None]:
    """The batches of the steps from ``first_step`` (from 0) to the schedule's last; `lzn.data.load_batches`.

    Images are float32 in [-1, 1], flipped at random where the schedule says so: with ``views``, each view by itself.
    Loading ahead goes on until the generator is closed. Of several ``processes`` each gets its share of every batch.

    Raises:
        ValueError: there is no full batch, or fewer samples than processes in it.
    """
    share = processes.share_of(schedule.batch_size)
    pin_memory = torch.device(device).type == "cuda"
    loaded_batches = load_batches(
        data,
        batch_size=schedule.batch_size,
        seed=seed,
        first_step=first_step,
        num_steps=schedule.num_steps,
        num_workers=num_workers,
        views=views,
        pin_memory=pin_memory,
        processes=processes,
    )
    for step, loaded in enumerate(loaded_batches, start=first_step):
        images = _scaled(loaded.images.to(device, non_blocking=pin_memory))
        if schedule.random_flips:
            random = BatchRandom(generator_for(seed, "flips", step, device=device), share)
            images = random_flips(images, random)
        yield Batch(_channels_last(images), loaded.labels.to(device, non_blocking=pin_memory), share)


def _scaled(levels: Tensor) -> Tensor:
    """Grey levels 0..255 as float32 in [-1, 1]: on the device, since bytes travel there faster than floats."""
    return levels.to(torch.float32).div_(127.5).sub_(1.0)


def _channels_last(images: Tensor) -> Tensor:
    """The memory layout that convolutions like, which views (b, views, c, h, w) have once they are taken apart."""
    return images.movedim(-3, -1).contiguous().movedim(-1, -3)
