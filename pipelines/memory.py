"""The memory that the trainings of a size need on each GPU, compared with what ``resources`` say that there is."""

import functools
from collections.abc import Iterator, Mapping
from typing import Any

from lzn.preparation.data_sets import AnyData
from lzn.runs.configuration import AnyRun
from pipelines.memory_estimate import GIB, MemoryEstimate, estimate_memory
from pipelines.resources import Resources, key_of_stage

NUM_CLASSES = 2
"""The number of classes hardly changes the memory, and is not known of each data set."""


def processes_of(resources: Mapping[str, Resources], run: str) -> int:
    """Return the number of processes that train a run, one per GPU; 1 without GPUs."""
    key = key_of_stage(resources, f"train@{run}")
    return max(1, resources[key].gpus) if key is not None else 1


def memory_of(run: AnyRun, data: AnyData, *, num_processes: int) -> MemoryEstimate:
    """Estimate the memory of one of the processes that train a run."""
    content = run.model_copy(update={"seeds": (0,)}).model_dump_json()
    return _estimate(type(run), content, data.image_size, num_processes)


@functools.cache  # runs of a size often have the same networks and batch
def _estimate(run_type: Any, content: str, image_size: int, num_processes: int) -> MemoryEstimate:
    run = run_type.model_validate_json(content)
    return estimate_memory(run, num_classes=NUM_CLASSES, image_size=image_size, num_processes=num_processes)


def lack_of_memory(
    runs: Mapping[str, AnyRun], data: Mapping[str, AnyData], resources: Mapping[str, Resources]
) -> Iterator[str]:
    """Yield a message for each run that needs more memory than the ``gpu_memory_gib`` of its training."""
    for name, run in runs.items():
        key = key_of_stage(resources, f"train@{name}")
        limit = None if key is None else resources[key].gpu_memory_gib
        if key is None or limit is None:
            continue
        count = resources[key].gpus
        needed = memory_of(run, data[run.data], num_processes=count).total / GIB
        if needed > limit:
            yield (
                f"runs.{name} needs {needed:.3g} GiB on each of {count} GPUs, and resources.{key}.gpu_memory_gib is "
                f"{limit:g}: use more GPUs, compute.micro_batch_size, compute.checkpoint_activations or "
                "compute.precision bfloat16"
            )
