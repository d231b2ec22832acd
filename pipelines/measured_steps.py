"""Time and memory of a few real training steps of a run, in a process of their own."""

import itertools
import multiprocessing
import resource
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import psutil
import torch

from lzn.base.devices import default_device
from lzn.data import ImageSet
from lzn.preparation.data_sets import AnyData
from lzn.runs.configuration import AnyRun
from lzn.training import ImageBatches, TrainingCallbacks, train

NUM_STEPS = 10
NUM_FIRST_STEPS = 2
"""Steps that are not timed: they allocate memory and compile."""


@dataclass(frozen=True)
class MeasuredSteps:
    """The median time of a step, and the peak memory of model, optimiser and step in bytes."""

    seconds: float
    peak_bytes: int


def measure_run(run: AnyRun, data: AnyData, *, num_processes: int, needed_bytes: int) -> MeasuredSteps | None:
    """Make `NUM_STEPS` steps of one process's share of the batch; None if the device has less than ``needed_bytes``.

    The first GPU of this machine is used, or the CPU. The images are noise, and in memory.
    """
    share = run.training.batch_size // num_processes
    schedule = replace(
        run.training, num_steps=NUM_STEPS, batch_size=share, snapshot_steps=(), log_every=NUM_STEPS
    )
    short = run.model_copy(update={"training": schedule, "seeds": run.seeds[:1]})
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_measure, short, data.image_size, torch.get_num_threads(), needed_bytes).result()


def _measure(run: AnyRun, image_size: int, num_threads: int, needed_bytes: int) -> MeasuredSteps | None:
    torch.set_num_threads(num_threads)
    device = default_device()
    if needed_bytes > _available_bytes(device):
        return None
    images = _images_of_noise(run, image_size)
    model: Any = run.build_model(num_classes=2)
    before = _used_bytes(device)
    times: list[float] = []

    def note_time(step: int) -> None:
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter())

    train(
        model,
        run.build_step(),
        ImageBatches(data=images, schedule=run.training, seed=run.seed, views=run.build_views()),
        run.training,
        seed=run.seed,
        device=device,
        compute=run.compute,
        callbacks=TrainingCallbacks(on_step=note_time),
    )
    steps = [after - start for start, after in itertools.pairwise(times)]
    weights = sum(parameter.nbytes for parameter in model.parameters()) if device.type == "cpu" else 0
    return MeasuredSteps(statistics.median(steps[NUM_FIRST_STEPS:]), _used_bytes(device) - before + weights)


def _images_of_noise(run: AnyRun, image_size: int) -> ImageSet:
    channels = run.encoder.image_channels if run.study == "representation" else run.unet.image_channels
    size = image_size if run.study == "representation" else run.unet.image_size
    count = run.training.batch_size
    images = np.random.default_rng(0).integers(0, 256, (count, channels, size, size), dtype=np.uint8)
    return ImageSet(images, np.arange(count, dtype=np.int64) % 2)


def _available_bytes(device: torch.device) -> int:
    return torch.cuda.mem_get_info()[0] if device.type == "cuda" else psutil.virtual_memory().available


def _used_bytes(device: torch.device) -> int:
    """Return the peak so far, of GPU tensors or of the whole process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
