"""Writing a split as shards, by several processes that end with the one that started them."""

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

from lzn.data.shard_files import Shard, Storage, labels_file
from lzn.datasets.source import ImageSource
from lzn.preparation.files import sha256_of, write_array
from lzn.preparation.fit import Fit
from lzn.preparation.shard_writing import OnCorrupt, SetAside, ShardRecord, ShardWriter

# Enough that files are few, little enough that a process holds it in memory and a restart loses little.
SHARD_BYTES = 128 * 2**20


@dataclass(frozen=True)
class WrittenSplit:
    """What was written of a split.

    Attributes:
        shards: in the order of their images.
        labels_sha256: hash of the file of labels.
        num_images: in all shards.
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
    """Write ``source`` into ``folder`` as shards and a file of labels; what is there from an interrupted call stays.

    The result is the same for any number of processes. A shard of an earlier call is kept if ``records`` knows it
    and its hash is right, so both folders must belong to this source and these settings alone.

    Args:
        source: the images.
        folder: where the split's files go; it exists.
        split: the beginning of the files' names.
        records: folder for what is known of finished shards; it exists.
        fit: size and channels of the images; of storage ``original`` only the channels that it is read with.
        storage: how images are stored.
        num_processes: number of processes that write; 1 writes in this one.
        on_corrupt: what to do about an image that cannot be used.
        on_progress: called with the number of further images that are done, set aside ones too.
        shard_bytes: how many images make a shard: as many as fit with their pixels uncompressed.

    Raises:
        UnusableImageError: an image cannot be used, and ``on_corrupt`` is ``stop``.
        ValueError: the source has no image files, and ``storage`` is ``original``.
        OSError: something cannot be written.
        concurrent.futures.process.BrokenProcessPool: a process died, of lack of memory for example.
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
        labels_sha256=sha256_of(labels_file(folder, split)),
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
        # A fork would copy locks that threads of this process (tqdm's, PyTorch's) may hold.
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


# A worker's copy of the writer: sent once a process, since a source can have a long list of names.
_writers: list[ShardWriter] = []


def _start_worker(writer: ShardWriter) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent to act on
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _writers.append(writer)


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for its next task for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)


def _write_in_worker(number: int, indices: range) -> ShardRecord:
    (writer,) = _writers
    return writer.write(number, indices)
