"""Exclusive leases of one machine's GPUs, held as file locks so that they end with the process that holds them."""

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
    """GPUs that this machine cannot lease."""


class GpuWaitStoppedError(GpuError):
    """A stop was requested before the GPUs were free."""


@dataclass(frozen=True)
class GpuLease:
    """GPUs that no other lease of the same folder has.

    gpus: as CUDA_VISIBLE_DEVICES names them. descriptors: of the locked files; a process that inherits them holds
    the lease until it, too, has ended.
    """

    gpus: tuple[str, ...]
    descriptors: tuple[int, ...]

    @property
    def environment(self) -> dict[str, str]:
        """What a stage needs to see these GPUs and no other; without any it sees none, as another may hold them."""
        return {VISIBLE: ",".join(self.gpus)}


def available_gpus(environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """The GPUs this process may use: those of CUDA_VISIBLE_DEVICES where it is set, else all that the driver has.

    All workers of a machine should name GPUs in one way, by index or by UUID: a lease knows them by name.
    """
    if VISIBLE in environment:
        names = [name.strip() for name in environment[VISIBLE].split(",")]
        invalid = next((at for at, name in enumerate(names) if name in {"", "-1"}), len(names))
        return tuple(names[:invalid])  # CUDA, too, takes no device that stands after an invalid one
    return _gpus_of_driver()


@contextmanager
def leased_gpus(
    count: int, folder: Path, available: Sequence[str], *, stop: StopEvents | None = None
) -> Iterator[GpuLease]:
    """Hold `count` of the `available` GPUs while the body runs; wait until so many are free together.

    `folder` holds a file a GPU and belongs to this machine alone. Who asked for the same GPUs waits in turn, so
    that a request for many is not passed by requests for few; a lease takes all it needs or none, so that no two
    wait for each other. Raises GpuError if there are fewer, GpuWaitStoppedError if `stop` is requested meanwhile.
    """
    if count > len(available):
        offered = ", ".join(available) or "none"
        raise GpuError(f"{count} GPUs are needed and this machine offers {offered} ({VISIBLE}, nvidia-smi)")
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
    """One request at a time, of those for the same GPUs, looks for free ones; the others wait for the turn."""
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
    """Lock the first `count` free GPUs; none if fewer are free."""
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
    """The descriptor of the file, locked; None while another holds it. The file stays: removing it would race."""
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
    # Installed without a driver it fails, or says so in place of the numbers.
    return tuple(filter(str.isdigit, answer.stdout.split())) if answer.returncode == 0 else ()
