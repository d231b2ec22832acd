"""Features of many images, computed on one device or several, while threads read the next images."""

import mmap
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch.multiprocessing.spawn import spawn

from lzn.data import ImageArray, ImageSubset, PixelShards
from stages.feature_extraction.extractors import FeatureExtractor
from stages.feature_extraction.resumable_features import ResumableFeatures
from stages.runtime.progress_bars import progress_bar

NUM_READERS = 4
"""Threads that read and prepare images; reading, decoding and PIL's resizing release the interpreter lock."""

Read = TypeVar("Read")


@dataclass(frozen=True)
class Workers:
    """Processes that compute features.

    Attributes:
        device: the kind of device; with several CUDA devices each gets a process.
        processes: how many; None: one for each CUDA device, one on CPUs. On CPUs each has as many threads as this one.
    """

    device: torch.device
    processes: int | None = None

    @property
    def count(self) -> int:
        """Number of processes."""
        if self.processes is not None:
            return self.processes
        return max(1, torch.cuda.device_count()) if self.device.type == "cuda" else 1

    def device_of(self, rank: int) -> torch.device:
        """Return the device of one process."""
        if self.device.type != "cuda" or self.count == 1:
            return self.device
        return torch.device("cuda", rank % torch.cuda.device_count())


@dataclass(frozen=True)
class _Work:
    images: ImageArray
    extractor: FeatureExtractor
    resumable: ResumableFeatures
    batches: Sequence[int]
    workers: Workers
    num_threads: int
    deterministic: bool


def extract_features(
    images: ImageArray, extractor: FeatureExtractor, resumable: ResumableFeatures, workers: Workers
) -> None:
    """Compute the batches that ``resumable`` lacks; the result does not depend on the number of processes."""
    work = _Work(
        images,
        extractor,
        resumable,
        resumable.unfinished(),
        workers,
        num_threads=torch.get_num_threads(),
        deterministic=torch.are_deterministic_algorithms_enabled(),
    )
    count = min(workers.count, len(work.batches))
    if count <= 1:
        _make_share(0, 1, work)
        return
    extractor.to(torch.device("cpu"))
    work = replace(work, images=_without_copying(images))
    # Spawned, because a forked process can use neither CUDA nor the threads of its parent. Tensors are shared.
    spawn(_work_in_own_process, args=(count, work), nprocs=count)  # type: ignore[no-untyped-call]


def read_ahead(read: Callable[[int], Read], numbers: Sequence[int]) -> Iterator[tuple[int, Read]]:
    """Yield each number and the result of ``read`` for it, in order; threads read `NUM_READERS` numbers ahead."""
    with ThreadPoolExecutor(NUM_READERS) as pool:
        waiting: deque[tuple[int, Future[Read]]] = deque()
        for number in numbers:
            waiting.append((number, pool.submit(read, number)))
            if len(waiting) > NUM_READERS:
                first, future = waiting.popleft()
                yield first, future.result()
        for first, future in waiting:
            yield first, future.result()


def _work_in_own_process(rank: int, count: int, work: _Work) -> None:
    torch.set_num_threads(work.num_threads)
    torch.use_deterministic_algorithms(work.deterministic)
    _make_share(rank, count, work)


def _make_share(rank: int, count: int, work: _Work) -> None:
    extractor, resumable = work.extractor, work.resumable
    extractor.to(work.workers.device_of(rank))
    batches = work.batches[rank::count]
    bar = progress_bar(extractor.name, total=len(batches), unit="batch", shown=rank == 0)

    def read(batch: int) -> torch.Tensor:
        return extractor.prepare(work.images[resumable.rows(batch)])

    with bar:
        for batch, prepared in read_ahead(read, batches):
            resumable.write(batch, extractor.extract(prepared).cpu().numpy())
            bar.update()


def _without_copying(images: ImageArray) -> ImageArray:
    """Return the images such that, if they are a whole file, another process opens the file instead of a copy."""
    if isinstance(images, ImageSubset):
        return replace(images, images=_without_copying(images.images))
    if isinstance(images, np.memmap) and isinstance(images.base, mmap.mmap) and images.filename is not None:
        file = Path(images.filename)
        if file.suffix == ".npy":
            _, *shape = images.shape
            return PixelShards([file], [len(images)], image_shape=(shape[0], shape[1], shape[2]))
    return images
