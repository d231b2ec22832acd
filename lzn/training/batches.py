"""Convert loaded images to the batches of training steps on the training device."""

from collections.abc import Generator

import torch
from torch import Tensor

from lzn.base.parallel import Processes
from lzn.base.randomness import BatchRandom, generator_for
from lzn.data import ImageSet, SampleViews, dequantise, load_batches, random_flips
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
    """Yield the batches of the steps from ``first_step`` (from 0) to the last step of the schedule.

    Images are float32 in [-1, 1]. With ``schedule.random_flips`` each image, or each view, is flipped at random. Each
    of several ``processes`` gets its share of every batch. Other arguments: `lzn.data.load_batches`.

    Raises:
        ValueError: there is no full batch, or the batch is smaller than the number of processes.
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
        # On the device, because bytes are faster to copy than floats.
        images = dequantise(loaded.images.to(device, non_blocking=pin_memory))
        if schedule.random_flips:
            random = BatchRandom(generator_for(seed, "flips", step, device=device), share)
            images = random_flips(images, random)
        yield Batch(_channels_last(images), loaded.labels.to(device, non_blocking=pin_memory), share)


def _channels_last(images: Tensor) -> Tensor:
    """Return images in the memory layout channels-last; of views (b, views, c, h, w) each view has this layout."""
    return images.movedim(-3, -1).contiguous().movedim(-1, -3)
