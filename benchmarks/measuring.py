"""Seconds and peak memory of a computation, each measured in a process of its own."""

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
"""Of an operation, in every measurement."""

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Cost:
    """What a computation costs.

    Attributes:
        seconds: of the fastest repetition.
        extra_bytes: by how much the process's peak memory exceeded what it held before the first repetition.
        num_repetitions: how often it was done.
    """

    seconds: float
    extra_bytes: int
    num_repetitions: int


def in_own_process(
    function: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
) -> Result:
    """The result of ``function``, called in a fresh process with `NUM_THREADS` threads.

    Function, arguments and result are pickled, so the function must be one of a module.
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
    """Repeat ``compute`` until either limit is reached; at least once.

    Args:
        compute: what is measured.
        warm_up: the same with little data, done before: it loads libraries and starts threads.
        max_seconds: no repetition starts after this time.
        max_repetitions: largest number of them.
    """
    warm_up()
    held = _reset_peak_memory()
    seconds = [_time(compute)]
    extra_bytes = _read_memory("VmHWM") - held
    while len(seconds) < max_repetitions and sum(seconds) < max_seconds:
        seconds.append(_time(compute))
    return Cost(min(seconds), extra_bytes, len(seconds))


def backward(loss: Tensor) -> None:
    """Gradients of a scalar."""
    loss.backward()  # type: ignore[no-untyped-call]


def _time(compute: Callable[[], object]) -> float:
    start = time.perf_counter()
    compute()
    return time.perf_counter() - start


def _reset_peak_memory() -> int:
    """Forget the process's peak of memory so far; bytes that it holds now (Linux: proc(5), ``clear_refs``)."""
    Path("/proc/self/clear_refs").write_text("5")
    return _read_memory("VmRSS")


def _read_memory(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status does not say {name}")
