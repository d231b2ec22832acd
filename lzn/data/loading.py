"""Batches from memory or disk, in the reproducible order of `lzn.data.batches`, loaded ahead by other processes."""

import math
import multiprocessing.resource_tracker
import os
import signal
import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import numpy as np
import PIL.Image
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from lzn.base.parallel import Processes
from lzn.base.randomness import generator_for
from lzn.data.batches import batch_indices, steps_per_epoch
from lzn.data.images import ImageSet
from lzn.data.shards import open_image

MAX_PART_SIZE = 256
"""Samples that a worker loads at a time at most: bounds what waits in memory when batches are large."""

# What Pillow, NumPy, torch and the file system raise over an image that they cannot read.
_IMAGE_ERRORS = (OSError, ValueError, RuntimeError, SyntaxError, EOFError)
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class SampleViews(Protocol):
    """Random views of one image, made where the image is loaded; picklable."""

    @property
    def num_views(self) -> int:
        """How many views are made of an image."""

    def __call__(self, image: PIL.Image.Image, generator: torch.Generator) -> Tensor:
        """One view, uint8 (c, h, w), of the same shape for every image."""


class ImageLoadingError(RuntimeError):
    """An image of the data set cannot be loaded; the message says which, and why."""


@dataclass(frozen=True)
class LoadedBatch:
    """The samples of one training step.

    Attributes:
        images: uint8 (b, c, h, w); with sample views (b, views, c, h, w).
        labels: int64 (b,).
    """

    images: Tensor
    labels: Tensor


def load_batches(
    data: ImageSet,
    *,
    batch_size: int,
    seed: int,
    first_step: int,
    num_steps: int,
    num_workers: int = 0,
    views: SampleViews | None = None,
    pin_memory: bool = False,
    processes: Processes = Processes(),  # noqa: B008 - immutable
) -> Generator[LoadedBatch, None, None]:
    """The batches of the steps from ``first_step`` to ``num_steps - 1``, one after the other.

    What a step gets depends on (data, batch_size, seed, step) alone, and a view on (seed, step, index of the image,
    number of the view): neither on the number of workers nor on where a run resumed. Of several processes that train
    together each loads its own rows of the same batches. Workers are processes started
    afresh, so ``data`` and ``views`` are pickled, and a script that calls this needs the usual
    ``if __name__ == "__main__"``. They load ahead for as long as the generator lives; ``close`` ends them.

    Args:
        data: images in memory or on disk, and labels.
        batch_size: samples a step, in all processes together.
        seed: of the order and of the views.
        first_step: where to begin, counted from the run's start.
        num_steps: length of the whole run: the step after the last.
        num_workers: processes that load ahead; 0 loads in this process, when a batch is asked for.
        views: makes random views of single images; without, images come as they are.
        pin_memory: put batches into page-locked memory, from which a GPU copies while it computes.
        processes: those that train together; the ``num_workers`` are this one's own.

    Raises:
        ValueError: there is no full batch, it has fewer samples than there are processes, a number is negative, or
            ``pin_memory`` without a GPU.
        ImageLoadingError: while iterating, an image cannot be loaded.
    """
    steps_per_epoch(len(data), batch_size)
    if first_step < 0 or num_workers < 0:
        raise ValueError(f"first_step and num_workers must not be negative, got {first_step}, {num_workers}")
    if views is not None and views.num_views < 1:
        raise ValueError(f"num_views must be at least 1, got {views.num_views}")
    if pin_memory and not torch.cuda.is_available():
        raise ValueError("pin_memory is for copies to a GPU, and there is none")
    rows = processes.share_of(batch_size).rows
    dataset = _BatchParts(data, batch_size, rows, seed, views)
    part_size = rows.stop - rows.start
    if num_workers:
        part_size = min(MAX_PART_SIZE, math.ceil(part_size / num_workers))
    order = _PartOrder(range(first_step, num_steps), rows.stop - rows.start, part_size)
    return _generate_batches(dataset, order, num_workers, pin_memory)


def _generate_batches(
    dataset: "_BatchParts", order: "_PartOrder", num_workers: int, pin_memory: bool
) -> Generator[LoadedBatch, None, None]:
    in_process = map(dataset.__getitem__, order)
    parts = _load_in_workers(dataset, order, num_workers) if num_workers else in_process
    for step in order.steps:
        images = _join(islice(parts, order.parts_per_step), order.num_samples, pin_memory)
        labels = torch.from_numpy(dataset.data.labels[dataset.indices(step)])
        yield LoadedBatch(images, labels.pin_memory() if pin_memory else labels)


def _join(parts: Iterator[Tensor], size: int, pin_memory: bool) -> Tensor:
    """A batch of its parts, each released as soon as it is copied."""
    part = next(parts)
    if len(part) == size and not pin_memory:
        return part
    batch = torch.empty((size, *part.shape[1:]), dtype=part.dtype, pin_memory=pin_memory)
    batch[: len(part)] = part
    filled = len(part)
    for part in parts:
        batch[filled : filled + len(part)] = part
        filled += len(part)
    return batch


@dataclass(frozen=True)
class _Part:
    """Own samples ``first`` to ``last - 1`` of a step's batch."""

    step: int
    first: int
    last: int


@dataclass(frozen=True)
class _PartOrder(Sampler[_Part]):
    """The parts of all batches, one after the other."""

    steps: range
    num_samples: int
    part_size: int

    @property
    def parts_per_step(self) -> int:
        return math.ceil(self.num_samples / self.part_size)

    def __iter__(self) -> Iterator[_Part]:
        for step in self.steps:
            for first in range(0, self.num_samples, self.part_size):
                yield _Part(step, first, min(first + self.part_size, self.num_samples))


@dataclass(frozen=True)
class _BatchParts(Dataset[Tensor]):
    """The images of a part, uint8."""

    data: ImageSet
    batch_size: int
    rows: slice
    seed: int
    views: SampleViews | None

    def indices(self, step: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Indices (b,) of own rows of the batch."""
        return batch_indices(
            step, num_samples=len(self.data), batch_size=self.batch_size, seed=self.seed
        ).numpy()[self.rows]

    def __getitem__(self, part: _Part) -> Tensor:
        indices = self.indices(part.step)[part.first : part.last]
        if self.views is None:
            return self._images(indices)
        return torch.stack([self._views_of(int(index), part.step, self.views) for index in indices])

    def _images(self, indices: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Tensor:
        try:
            return torch.from_numpy(np.ascontiguousarray(self.data.images[indices]))
        except _IMAGE_ERRORS:
            for position, index in enumerate(indices):  # one by one, to say which it is
                with _naming(int(index)):
                    self.data.images[indices[position : position + 1]]
            raise

    def _views_of(self, index: int, step: int, make_view: SampleViews) -> Tensor:
        with _naming(index):
            image = open_image(self.data.images, index)
            return torch.stack(
                [
                    make_view(image, generator_for(self.seed, "views", step, index, number))
                    for number in range(make_view.num_views)
                ]
            )


@contextmanager
def _naming(index: int) -> Iterator[None]:
    """Turns an error into one that says which image it is about."""
    try:
        yield
    except _IMAGE_ERRORS as error:
        raise ImageLoadingError(f"image {index} of the data set cannot be loaded: {error}") from error


def _load_in_workers(dataset: _BatchParts, order: Iterable[_Part], num_workers: int) -> Iterator[Tensor]:
    loader = DataLoader(
        dataset,
        batch_size=None,  # a part comes as it is
        sampler=order,
        num_workers=num_workers,
        # Copying a process that has threads, as one with a GPU always has, can leave locks held for ever.
        multiprocessing_context="spawn",
        worker_init_fn=_obey_only_parent,
        # The loader draws a seed for workers, which nothing uses: not from the global generator.
        generator=torch.Generator(),
    )
    # Workers inherit what is blocked. Started first: starting it would unblock the signals.
    multiprocessing.resource_tracker.ensure_running()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
    try:
        return iter(loader)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _obey_only_parent(worker: int) -> None:
    """Let a worker end when its parent says so, not by a signal to the whole group, such as that of Ctrl-C.

    The parent gets such a signal too, and may need more batches until it can stop.
    """
    threading.Thread(target=_exit_when_parent_says, daemon=True).start()


def _exit_when_parent_says() -> None:
    while signal.sigwaitinfo(_STOP_SIGNALS).si_pid != os.getppid():
        pass
    os._exit(0)
