"""The batches of a training on its device: of any iterable, or of a set of images, which can begin at any step."""

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from lzn.base.nested_tensors import map_tensors, named_tensors
from lzn.base.parallel import BatchShare, Processes
from lzn.base.randomness import BatchRandom, generator_for
from lzn.data import ImageSet, SampleViews, dequantise, load_batches, random_flips
from lzn.training.schedule import TrainingSchedule
from lzn.training.step import Batch


@runtime_checkable
class BatchesFromStep(Protocol):
    """Batches that can begin at any step, so that a resumed training does not load those before it."""

    def from_step(
        self, first_step: int, *, device: torch.device | str, processes: Processes
    ) -> Iterator[Any]:
        """Return the batches of the steps from ``first_step`` (from 0), with the rows of this process."""


@dataclass(frozen=True, kw_only=True)
class ImageBatches:
    """Shuffled batches of images with labels, `Batch`, for all steps of a schedule.

    Images are float32 in [-1, 1]. With ``schedule.random_flips`` each image, or each view, is flipped at random.

    Attributes:
        data: the images.
        schedule: the schedule of the training.
        seed: seed of the order, the flips and the views.
        num_workers, views: see `lzn.data.load_batches`.
    """

    data: ImageSet
    schedule: TrainingSchedule
    seed: int
    num_workers: int = 0
    views: SampleViews | None = None

    def from_step(
        self,
        first_step: int = 0,
        *,
        device: torch.device | str = "cpu",
        processes: Processes = Processes(),  # noqa: B008 - immutable
    ) -> Generator[Batch, None, None]:
        """Yield the batches of the steps from ``first_step`` (from 0) to the last step of the schedule, on ``device``.

        Each of several ``processes`` gets its share of every batch.

        Raises:
            ValueError: there is no full batch, or the batch is smaller than the number of processes.
        """
        share = processes.share_of(self.schedule.batch_size)
        pin_memory = torch.device(device).type == "cuda"
        loaded_batches = load_batches(
            self.data,
            batch_size=self.schedule.batch_size,
            seed=self.seed,
            first_step=first_step,
            num_steps=self.schedule.num_steps,
            num_workers=self.num_workers,
            views=self.views,
            pin_memory=pin_memory,
            processes=processes,
        )
        for step, loaded in enumerate(loaded_batches, start=first_step):
            # On the device, because bytes are faster to copy than floats.
            images = dequantise(loaded.images.to(device, non_blocking=pin_memory))
            if self.schedule.random_flips:
                random = BatchRandom(generator_for(self.seed, "flips", step, device=device), share)
                images = random_flips(images, random)
            yield Batch(_channels_last(images), loaded.labels.to(device, non_blocking=pin_memory))


def training_batches(
    batches: Iterable[Any] | BatchesFromStep,
    schedule: TrainingSchedule,
    *,
    first_step: int,
    device: torch.device | str,
    processes: Processes,
) -> Generator[Any, None, None]:
    """Yield the batches of the steps from ``first_step`` to the last step of the schedule, on ``device``.

    An iterable of fewer batches is iterated again, as in epochs. A resumed training skips the batches before its step.

    Raises:
        ValueError: a tensor of a batch does not have this process's number of samples, a batch has no tensors, or an
            iterable has no batches.
    """
    share = processes.share_of(schedule.batch_size)
    if isinstance(batches, BatchesFromStep):
        chosen = batches.from_step(first_step, device=device, processes=processes)
    else:
        chosen = islice(_repeated(batches, schedule.num_steps), first_step, None)
    try:
        for step, batch in enumerate(chosen, start=first_step):
            _check_rows(batch, share, step)
            yield map_tensors(lambda tensor: _on_device(tensor, device), batch)
    finally:
        if isinstance(chosen, Generator):
            chosen.close()


def _repeated(batches: Iterable[Any], num_steps: int) -> Iterator[Any]:
    step = 0
    while step < num_steps:
        start = step
        for batch in islice(batches, num_steps - step):
            step += 1
            yield batch
        if step == start:
            raise ValueError(
                f"there is no batch for step {step} of {num_steps}: give an iterable that can be iterated again, such "
                "as a list or a DataLoader, not an iterator that ends"
            )


def _check_rows(batch: object, share: BatchShare, step: int) -> None:
    tensors = dict(named_tensors(batch))
    if not tensors:
        raise ValueError(
            f"the batch of step {step} has no tensors: it must be a dictionary or a dataclass of tensors"
        )
    for name, tensor in tensors.items():
        if tensor.ndim == 0 or len(tensor) != share.count:
            raise ValueError(
                f"the batch of step {step} has {name or 'a tensor'} of shape {tuple(tensor.shape)}, but this process's "
                f"share of batch_size={share.total} is {share.count} samples: leave out incomplete batches (drop_last)"
            )


def _on_device(tensor: Tensor, device: torch.device | str) -> Tensor:
    return tensor.to(device, non_blocking=torch.device(device).type == "cuda" and tensor.is_pinned())


def _channels_last(images: Tensor) -> Tensor:
    """Return images in the memory layout channels-last; of views (b, views, c, h, w) each view has this layout."""
    return images.movedim(-3, -1).contiguous().movedim(-1, -3)
