"""Additional workers of a stack, as on other machines: with other variables, a small disk, or GPUs."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from infra.stack import Stack
from infra.stack.layout import PROJECT

DISK_MEGABYTES = 100


@dataclass(frozen=True)
class OtherMachine:
    """An additional worker: its first process and its log."""

    pid: int
    log: Path

    def from_here(self, path: Path) -> Path:
        """Return the path by which this process reaches a path on the worker's disks."""
        return Path(f"/proc/{self.pid}/root{path}")


@contextmanager
def other_machine(
    stack: Stack, folder: Path, *, disk: Path | None = None, **variables: str
) -> Iterator[OtherMachine]:
    """Run a worker of the pool cpu with changed variables, while the stack's own workers are suspended.

    folder: for the worker's files. disk: a folder on which the worker has a small disk (a tmpfs in its own mount
    namespace, which ends with the worker).
    """
    suspended = [stack.pid(f"worker-cpu-{number}") for number in (1, 2)]
    for pid in suspended:
        os.kill(pid, signal.SIGSTOP)
    try:
        with _worker(stack, folder, pool="cpu", disk=disk, **variables) as machine:
            yield machine
    finally:
        for pid in suspended:
            os.kill(pid, signal.SIGCONT)


@contextmanager
def gpu_machine(stack: Stack, folder: Path, *, gpus: int) -> Iterator[Path]:
    """Run a worker of the pool gpu that sees `gpus` GPUs, which do not exist. Yield its LZN_WORK."""
    work = folder / "work"
    names = ",".join(map(str, range(gpus)))
    with _worker(stack, folder, pool="gpu", LZN_WORK=str(work), CUDA_VISIBLE_DEVICES=names):
        yield work


@contextmanager
def _worker(
    stack: Stack, folder: Path, *, pool: str, disk: Path | None = None, **variables: str
) -> Iterator[OtherMachine]:
    """Run a worker for one stage at a time, which lets the stage save its work before it ends."""
    worker = [sys.executable, "-m", "infra.worker", "--grace-seconds", "30"]
    worker += ["--pool", pool, "--type", "process", "--name", folder.name, "--limit", "1"]
    if disk is not None:
        mount = f'mount -t tmpfs -o size={DISK_MEGABYTES}m,mode=0700 tmpfs {disk} && exec "$@"'
        worker = ["unshare", "--map-root-user", "--mount", "sh", "-c", mount, "sh", *worker]
    changes = {"PREFECT_HOME": str(folder / "prefect"), "PREFECT_WORKER_QUERY_SECONDS": "2", **variables}
    log = folder / "worker.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            worker,
            cwd=PROJECT,
            env={**os.environ, **stack.environment(), **changes},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield OtherMachine(process.pid, log)
    finally:
        process.terminate()
        process.wait(60)


def fill_disk(filler: Path) -> None:
    """Write a file until its disk has no space left."""
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(2**16))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
