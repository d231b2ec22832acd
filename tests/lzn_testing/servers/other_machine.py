"""Workers beside those of a stack: with other variables, on a small disk, on machines with GPUs."""

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
    """A worker beside those of the stack. pid: of its first process; log: what it prints."""

    pid: int
    log: Path

    def seen(self, path: Path) -> Path:
        """A path on its disks, as this process reaches it."""
        return Path(f"/proc/{self.pid}/root{path}")


@contextmanager
def other_machine(
    stack: Stack, folder: Path, *, disk: Path | None = None, **variables: str
) -> Iterator[OtherMachine]:
    """Let a worker with changed variables take the stages of the pool cpu, while the stack's are suspended.

    folder: where it keeps its own files. disk: a folder that is a small disk of its own there, a tmpfs of a mount
    namespace, which ends with the worker.
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
    """A machine with so many GPUs (names that nothing is behind) and a worker; its own LZN_WORK, in the folder."""
    work = folder / "work"
    names = ",".join(map(str, range(gpus)))
    with _worker(stack, folder, pool="gpu", LZN_WORK=str(work), CUDA_VISIBLE_DEVICES=names):
        yield work


@contextmanager
def _worker(
    stack: Stack, folder: Path, *, pool: str, disk: Path | None = None, **variables: str
) -> Iterator[OtherMachine]:
    """One that runs one stage at a time, and lets it save its work before it ends."""
    worker = [sys.executable, "-m", "infra.worker", "--grace-seconds", "30"]
    worker += ["--pool", pool, "--type", "process", "--name", folder.name, "--limit", "1"]
    if disk is not None:
        mount = f'mount -t tmpfs -o size={DISK_MEGABYTES}m tmpfs {disk} && exec "$@"'
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
