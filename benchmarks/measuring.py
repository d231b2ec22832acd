"""Measure the seconds and the peak memory of a computation on the CPU, each in its own process, or on a GPU."""

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
        extra_bytes: peak memory of the process, or of its tensors on a GPU, minus that before the first repetition.
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
    device: torch.device | str = "cpu",
) -> Cost:
    """Repeat ``compute`` at least once, until one of the limits is reached. Return its cost.

    Args:
        compute: the computation to measure.
        warm_up: the same with little data. It runs first, to load libraries and start threads.
        max_seconds: no repetition starts after this time.
        max_repetitions: largest number of repetitions.
        device: where ``compute`` computes.
    """
    warm_up()
    held = reset_peak_memory(device)
    seconds = [_time(compute, device)]
    extra_bytes = peak_memory(device) - held
    while len(seconds) < max_repetitions and sum(seconds) < max_seconds:
        seconds.append(_time(compute, device))
    return Cost(min(seconds), extra_bytes, len(seconds))


def backward(loss: Tensor) -> None:
    """Compute the gradients of a scalar."""
    loss.backward()  # type: ignore[no-untyped-call]


def wait_for(device: torch.device | str) -> None:
    """Wait until a GPU has finished what was started on it."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)


def reset_peak_memory(device: torch.device | str) -> int:
    """Reset the peak memory. Return the bytes in use now, by the process or by its tensors on a GPU.

    Linux resets the peak of a process by ``clear_refs`` (proc(5)).
    """
    if torch.device(device).type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.memory_allocated(device)
    Path("/proc/self/clear_refs").write_text("5")
    return _read_memory("VmRSS")


def peak_memory(device: torch.device | str) -> int:
    """Return the largest number of bytes in use since `reset_peak_memory`."""
    if torch.device(device).type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return _read_memory("VmHWM")


def _time(compute: Callable[[], object], device: torch.device | str) -> float:
    wait_for(device)
    start = time.perf_counter()
    compute()
    wait_for(device)
    return time.perf_counter() - start


def _read_memory(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status has no line {name}")
