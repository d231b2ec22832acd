"""Measure the seconds and the peak memory of a computation, each in its own process."""

import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor

NUM_THREADS = 2
"""Threads of an operation in each measurement."""

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Cost:
    """The cost of a computation.

    Attributes:
        seconds: time of the fastest repetition.
        extra_bytes: peak memory of the process minus its memory before the first repetition.
        num_repetitions: number of repetitions.
    """

    seconds: float
    extra_bytes: int
    num_repetitions: int


def in_own_process(
    function: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
) -> Result:
    """Call ``function`` in a new process with `NUM_THREADS` threads. Return its result.

    Function, arguments and result are pickled, so the function must be defined at the top level of a module.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, initializer=_set_threads) as process:
        return process.submit(function, *args, **kwargs).result()


def _set_threads() -> None:
    torch.set_num_threads(NUM_THREADS)


def cost_of(
    compute: Callable[[], object],
    *,
    warm_up: Callable[[], object],
    max_seconds: float = 3.0,
    max_repetitions: int = 20,
) -> Cost:
    """Repeat ``compute`` at least once, until one of the limits is reached. Return its cost.

    Args:
        compute: the computation to measure.
        warm_up: the same with little data. It runs first, to load libraries and start threads.
        max_seconds: no repetition starts after this time.
        max_repetitions: largest number of repetitions.
    """
    warm_up()
    held = _reset_peak_memory()
    seconds = [_time(compute)]
    extra_bytes = _read_memory("VmHWM") - held
    while len(seconds) < max_repetitions and sum(seconds) < max_seconds:
        seconds.append(_time(compute))
    return Cost(min(seconds), extra_bytes, len(seconds))


def backward(loss: Tensor) -> None:
    """Compute the gradients of a scalar."""
    loss.backward()  # type: ignore[no-untyped-call]


def _time(compute: Callable[[], object]) -> float:
    start = time.perf_counter()
    compute()
    return time.perf_counter() - start


def _reset_peak_memory() -> int:
    """Reset the process's peak memory (Linux: proc(5), ``clear_refs``). Return the bytes in use now."""
    Path("/proc/self/clear_refs").write_text("5")
    return _read_memory("VmRSS")


def _read_memory(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status has no line {name}")
