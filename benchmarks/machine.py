"""The machine of a measurement."""

import os
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

from benchmarks.measuring import NUM_THREADS
from stages.runtime.provenance import git_commit, processor_name

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Machine:
    """Model of the processor, number of cores, threads in use, memory in GiB, version of torch, commit of the code."""

    processor: str
    cores: int
    threads: int
    memory_gib: float
    torch: str
    commit: str


def describe_machine() -> Machine:
    """Return the machine and the commit of this process."""
    return Machine(
        processor=processor_name(),
        cores=os.cpu_count() or 1,
        threads=NUM_THREADS,
        memory_gib=round(psutil.virtual_memory().total / 2**30, 1),
        torch=torch.__version__,
        commit=git_commit(),
    )
