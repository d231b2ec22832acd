"""Exclusive leases of the GPUs of one machine: file locks, which end with the process that holds them."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipelines.processes.signals import StopEvents

VISIBLE: Final = "CUDA_VISIBLE_DEVICES"
_POLL_SECONDS: Final = 0.5
_NVIDIA_SMI_SECONDS: Final = 60.0


class GpuError(RuntimeError):
    """This machine does not have enough GPUs."""


class GpuWaitStoppedError(GpuError):
    """A stop was requested before the GPUs were free."""


@dataclass(frozen=True)
class GpuLease:
    """GPUs that no other lease in the same folder has.

    Attributes:
        gpus: names, as in CUDA_VISIBLE_DEVICES.
        descriptors: of the locked files. A process that inherits them holds the lease until it ends, too.
    """

    gpus: tuple[str, ...]
    descriptors: tuple[int, ...]

    @property
    def environment(self) -> dict[str, str]:
        """Return the variable that makes only these GPUs visible; without GPUs, none is visible."""
        return {VISIBLE: ",".join(self.gpus)}


def available_gpus(environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Return the GPUs that this process may use: those of CUDA_VISIBLE_DEVICES if it is set, else all of the driver.

    All workers of a machine must name GPUs in the same way, by index or by UUID: leases compare names.
    """
    if VISIBLE in environment:
        names = [name.strip() for name in environment[VISIBLE].split(",")]
        invalid = next((at for at, name in enumerate(names) if name in {"", "-1"}), len(names))
        return tuple(names[:invalid])  # like CUDA, which ignores devices after an invalid one
    return _gpus_of_driver()


@contextmanager
def leased_gpus(
    count: int, folder: Path, available: Sequence[str], *, stop: StopEvents | None = None
) -> Iterator[GpuLease]:
    """Wait until `count` of the `available` GPUs are free at the same time, and hold them inside the block.

    Requests for the same GPUs wait in a queue, so that requests for few GPUs do not overtake one for many. A lease
    takes all of its GPUs or none, so that no deadlock occurs.

    Args:
        count: number of GPUs.
        folder: folder of this machine with one lock file per GPU.
        available: names of the GPUs.
        stop: a stop request ends the waiting.

    Raises:
        GpuError: there are fewer GPUs.
        GpuWaitStoppedError: a stop was requested while it waited.
    """
    if count > len(available):
        offered = ", ".join(available) or "none"
        raise GpuError(f"{count} GPUs are needed, and this machine has {offered} ({VISIBLE}, nvidia-smi)")
    with contextlib.ExitStack() as held:
        if count == 0:
            lease = GpuLease((), ())
        else:
            folder.mkdir(parents=True, exist_ok=True)
            lease = _wait_for_turn(count, folder, available, stop or StopEvents())
            for descriptor in lease.descriptors:
                held.callback(os.close, descriptor)
        yield lease


def _wait_for_turn(count: int, folder: Path, available: Sequence[str], stop: StopEvents) -> GpuLease:
    """Wait in the queue of requests for the same GPUs; the first request waits for free GPUs."""
    same = hashlib.sha256("\n".join(sorted(available)).encode()).hexdigest()[:16]
    while (turn := _lock(folder / f"turn-{same}.lock")) is None:
        _wait(stop)
    try:
        while (lease := _take(count, folder, available)) is None:
            _wait(stop)
    finally:
        os.close(turn)
    return lease


def _take(count: int, folder: Path, available: Sequence[str]) -> GpuLease | None:
    """Lock the first `count` free GPUs. Return None if fewer are free."""
    locked: dict[str, int] = {}
    for gpu in available:
        if len(locked) == count:
            break
        descriptor = _lock(folder / f"gpu-{gpu.replace('/', '_')}.lock")
        if descriptor is not None:
            locked[gpu] = descriptor
    if len(locked) == count:
        return GpuLease(tuple(locked), tuple(locked.values()))
    for descriptor in locked.values():
        os.close(descriptor)
    return None


def _lock(file: Path) -> int | None:
    """Lock the file and return its descriptor; None if it is locked. The file is not removed: that would be a race."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _wait(stop: StopEvents) -> None:
    if stop.requested.is_set():
        raise GpuWaitStoppedError("stopped while waiting for GPUs")
    time.sleep(_POLL_SECONDS)


def _gpus_of_driver() -> tuple[str, ...]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    answer = subprocess.run(
        [program, "--query-gpu=index", "--format=csv,noheader"],
        capture_output=True,
        text=True,
        timeout=_NVIDIA_SMI_SECONDS,
        check=False,
    )
    # Without a driver it fails, or prints a message in place of numbers.
    return tuple(filter(str.isdigit, answer.stdout.split())) if answer.returncode == 0 else ()
