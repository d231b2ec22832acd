"""Write a split as shards, with worker processes that end when their parent ends."""

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lzn.base.files import file_sha256, write_array
from lzn.data.shard_files import Shard, Storage, labels_file
from lzn.datasets.source import ImageSource
from lzn.preparation.fit import Fit
from lzn.preparation.shard_writing import OnCorrupt, SetAside, ShardRecord, ShardWriter

# Large, so that there are few files; small, so that a shard fits into memory and a restart repeats little work.
SHARD_BYTES = 128 * 2**20


@dataclass(frozen=True)
class WrittenSplit:
    """The result of writing a split.

    Attributes:
        shards: the shards in the order of their images.
        labels_sha256: hash of the labels file.
        num_images: number of images in all shards.
        set_aside: images of the source that are left out, in order.
    """

    shards: tuple[Shard, ...]
    labels_sha256: str
    num_images: int
    set_aside: tuple[SetAside, ...]


def write_split(
    source: ImageSource,
    folder: Path,
    *,
    split: str,
    records: Path,
    fit: Fit,
    storage: Storage,
    num_processes: int,
    on_corrupt: OnCorrupt,
    on_progress: Callable[[int], object],
    shard_bytes: int = SHARD_BYTES,
) -> WrittenSplit:
    """Write ``source`` into ``folder`` as shards and a labels file.

    The result does not depend on ``num_processes``. A shard of an interrupted call is kept if its record is in
    ``records`` and its hash is right; so both folders must belong to this source and these settings only.

    Args:
        source, folder, split, records, fit, storage, on_corrupt: see `ShardWriter`; the folders must exist.
        num_processes: number of worker processes; 1 writes in this process.
        on_progress: called with the number of images after each shard, with the ones that are left out.
        shard_bytes: size of a shard's images as uncompressed pixels, in bytes.

    Raises:
        UnusableImageError: an image cannot be used, and ``on_corrupt`` is ``stop``.
        ValueError: the source does not hold image files, and ``storage`` is ``original``.
        OSError: a file cannot be written.
        concurrent.futures.process.BrokenProcessPool: a worker process died, such as for lack of memory.
    """
    writer = ShardWriter(
        source=source,
        split=split,
        folder=folder,
        records=records,
        fit=fit,
        storage=storage,
        on_corrupt=on_corrupt,
    )
    shards = _shard_ranges(len(source), max(1, shard_bytes // int(np.prod(fit.image_shape))))
    num_processes = min(num_processes, len(shards))
    write = _write_in_processes if num_processes > 1 else _write_here
    done = write(writer, shards, num_processes=num_processes, on_progress=on_progress)
    written = [done[number] for number in range(len(shards))]
    set_aside = tuple(image for record in written for image in record.set_aside)
    labels = np.delete(source.labels, [image.index for image in set_aside])
    write_array(labels_file(folder, split), labels)
    return WrittenSplit(
        shards=tuple(record.shard for record in written if record.shard is not None),
        labels_sha256=file_sha256(labels_file(folder, split)),
        num_images=len(labels),
        set_aside=set_aside,
    )


def _shard_ranges(num_images: int, images_per_shard: int) -> list[range]:
    return [
        range(start, min(start + images_per_shard, num_images))
        for start in range(0, num_images, images_per_shard)
    ]


def _write_here(
    writer: ShardWriter, shards: Sequence[range], *, num_processes: int, on_progress: Callable[[int], object]
) -> Mapping[int, ShardRecord]:
    done = {}
    for number, indices in enumerate(shards):
        done[number] = writer.write(number, indices)
        on_progress(len(indices))
    return done


def _write_in_processes(
    writer: ShardWriter, shards: Sequence[range], *, num_processes: int, on_progress: Callable[[int], object]
) -> Mapping[int, ShardRecord]:
    executor = ProcessPoolExecutor(
        num_processes,
        # A fork would copy locks that threads of this process (of tqdm, PyTorch) can hold.
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
        initargs=(writer,),
    )
    done = {}
    try:
        numbers = {
            executor.submit(_write_in_worker, number, indices): number
            for number, indices in enumerate(shards)
        }
        for future in as_completed(numbers):
            number = numbers[future]
            done[number] = future.result()
            on_progress(len(shards[number]))
    finally:
        executor.shutdown(cancel_futures=True)
    return done


# A worker's copy of the writer, sent once per process, because a source can have a long list of names.
_writers: list[ShardWriter] = []


def _start_worker(writer: ShardWriter) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # only the parent reacts to Ctrl-C
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _writers.append(writer)


def _end_with_parent() -> None:
    """End this worker when its parent ends; otherwise it would wait for its next task for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)


def _write_in_worker(number: int, indices: range) -> ShardRecord:
    (writer,) = _writers
    return writer.write(number, indices)
