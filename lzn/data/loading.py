"""Load batches from memory or disk in the order of `lzn.data.batches`, with optional worker processes."""

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
"""Largest number of samples that a worker loads at a time; it limits memory when batches are large."""

# The errors of Pillow, NumPy, PyTorch and the file system for an image that cannot be read.
_IMAGE_ERRORS = (OSError, ValueError, RuntimeError, SyntaxError, EOFError)
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class SampleViews(Protocol):
    """Random views of one image, computed in the loading process. Workers need a class that can be pickled."""

    @property
    def num_views(self) -> int:
        """Number of views of each image."""

    def __call__(self, image: PIL.Image.Image, generator: torch.Generator) -> Tensor:
        """Return one view, uint8 (c, h, w), of the same shape for every image."""


class ImageLoadingError(RuntimeError):
    """An image of the data set cannot be loaded. The message names the image and the reason."""


@dataclass(frozen=True)
class LoadedBatch:
    """The samples of one training step.

    Attributes:
        images: uint8 (b, c, h, w), or (b, views, c, h, w) with sample views.
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
    """Yield the batches of the steps from ``first_step`` to ``num_steps - 1``.

    A batch depends only on (data, batch_size, seed, step), and a view only on (seed, step, image index, view number).
    Workers are spawned: ``data`` and ``views`` are pickled, and the calling script needs
    ``if __name__ == "__main__"``. They load ahead until the generator is closed.

    Args:
        data: images in memory or on disk, and labels.
        batch_size: number of samples per step, over all training processes.
        seed: seed of the order and of the views.
        first_step: first step, counted from the start of the run.
        num_steps: number of steps of the whole run.
        num_workers: number of worker processes; 0 loads each batch in this process when it is needed.
        views: function that makes random views of single images; without it, batches hold the images.
        pin_memory: put batches into page-locked memory, for copies to a GPU that overlap with computation.
        processes: the training processes; each loads its own rows of the same batches with its own workers.

    Raises:
        ValueError: there is no full batch, the batch is smaller than the number of processes, a number is negative, or
            ``pin_memory`` is set without a GPU.
        ImageLoadingError: an image cannot be loaded (raised during iteration).
    """
    steps_per_epoch(len(data), batch_size)
    if first_step < 0 or num_workers < 0:
        raise ValueError(f"first_step and num_workers must not be negative, got {first_step}, {num_workers}")
    if views is not None and views.num_views < 1:
        raise ValueError(f"num_views must be at least 1, got {views.num_views}")
    if pin_memory and not torch.cuda.is_available():
        raise ValueError("pin_memory needs a GPU, and this machine has none; set pin_memory to False")
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
        images = _concatenate(islice(parts, order.parts_per_step), order.num_samples, pin_memory)
        labels = torch.from_numpy(dataset.data.labels[dataset.indices(step)])
        yield LoadedBatch(images, labels.pin_memory() if pin_memory else labels)


def _concatenate(parts: Iterator[Tensor], size: int, pin_memory: bool) -> Tensor:
    """Concatenate the parts of a batch; each part is released as soon as it is copied."""
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
    """The samples ``first`` to ``last - 1`` of this process's share of a batch."""

    step: int
    first: int
    last: int


@dataclass(frozen=True)
class _PartOrder(Sampler[_Part]):
    """Iterates over the parts of all batches in order."""

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
    """Loads the images of a part, uint8 (p, c, h, w), or its views (p, views, c, h, w)."""

    data: ImageSet
    batch_size: int
    rows: slice
    seed: int
    views: SampleViews | None

    def indices(self, step: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Return the indices (b,) of this process's rows of the batch."""
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
            for position, index in enumerate(indices):  # load one by one to find the image
                with _image_named_in_error(int(index)):
                    self.data.images[indices[position : position + 1]]
            raise

    def _views_of(self, index: int, step: int, make_view: SampleViews) -> Tensor:
        with _image_named_in_error(index):
            image = open_image(self.data.images, index)
            return torch.stack(
                [
                    make_view(image, generator_for(self.seed, "views", step, index, number))
                    for number in range(make_view.num_views)
                ]
            )


@contextmanager
def _image_named_in_error(index: int) -> Iterator[None]:
    """Convert a loading error to an `ImageLoadingError` that names the image."""
    try:
        yield
    except _IMAGE_ERRORS as error:
        raise ImageLoadingError(f"image {index} of the data set cannot be loaded: {error}") from error


def _load_in_workers(dataset: _BatchParts, order: Iterable[_Part], num_workers: int) -> Iterator[Tensor]:
    loader = DataLoader(
        dataset,
        batch_size=None,  # each part is one item
        sampler=order,
        num_workers=num_workers,
        # A fork of a process with threads (always the case with a GPU) can leave locks held for ever.
        multiprocessing_context="spawn",
        worker_init_fn=_ignore_group_signals,
        # The loader draws an unused seed for its workers; do not draw it from the global generator.
        generator=torch.Generator(),
    )
    # Workers inherit the blocked signals. Start the tracker before: its start would unblock them.
    multiprocessing.resource_tracker.ensure_running()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
    try:
        return iter(loader)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _ignore_group_signals(worker: int) -> None:
    """Make a worker ignore stop signals that its parent did not send, such as Ctrl-C to the process group.

    The parent also gets such a signal, and can need more batches before it stops.
    """
    threading.Thread(target=_exit_on_signal_of_parent, daemon=True).start()


def _exit_on_signal_of_parent() -> None:
    while signal.sigwaitinfo(_STOP_SIGNALS).si_pid != os.getppid():
        pass
    os._exit(0)
