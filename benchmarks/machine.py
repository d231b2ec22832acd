"""What a measurement was made on."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

from benchmarks.measuring import NUM_THREADS
from stages.runtime.provenance import processor_name

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Machine:
    """Attributes: processor model, its cores, threads used, memory in GiB, version of torch, and commit of the code."""

    processor: str
    cores: int
    threads: int
    memory_gib: float
    torch: str
    commit: str


def describe_machine() -> Machine:
    """The machine, and the code, of this process."""
    return Machine(
        processor=processor_name(),
        cores=os.cpu_count() or 1,
        threads=NUM_THREADS,
        memory_gib=round(psutil.virtual_memory().total / 2**30, 1),
        torch=torch.__version__,
        commit=_commit(),
    )


def _commit() -> str:
    """The commit that is checked out, with ``-dirty`` where code differs from it; results, which change, are none."""
    try:
        commit = _git("rev-parse", "--short=12", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no", "--", "*.py", "*.yaml")
    except (subprocess.CalledProcessError, FileNotFoundError):
        return "unknown"
    return f"{commit}-dirty" if changed else commit


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
