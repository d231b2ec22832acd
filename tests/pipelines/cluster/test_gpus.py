"""Leases of GPUs with real processes and file locks. No GPU is needed."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from lzn_testing import PROJECT

from pipelines.cluster.worker.gpus import GpuError, GpuWaitStoppedError, available_gpus, leased_gpus
from pipelines.processes.signals import StopEvents

FOUR = ("0", "1", "2", "3")
# It prints its GPUs, and holds them until its input ends.
HOLDER = """
import sys
from pathlib import Path
from pipelines.cluster.worker.gpus import leased_gpus
with leased_gpus(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3].split(",")) as lease:
    print(",".join(lease.gpus), flush=True)
    sys.stdin.read()
"""


class Holder:
    """Another process that leases GPUs, like the flow of a worker."""

    def __init__(self, count: int, folder: Path, available: Sequence[str] = FOUR) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(count), str(folder), ",".join(available)],
            env={**os.environ, "PYTHONPATH": str(PROJECT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def gpus(self) -> set[str]:
        """Wait until the process has GPUs, and return them."""
        assert self.process.stdout is not None
        return set(self.process.stdout.readline().strip().split(","))

    def kill(self) -> None:
        with self.process:
            self.process.kill()


def test_two_processes_never_have_the_same_gpu(tmp_path: Path):
    holders = [Holder(2, tmp_path), Holder(1, tmp_path), Holder(1, tmp_path)]

    held = [holder.gpus() for holder in holders]

    assert [len(gpus) for gpus in held] == [2, 1, 1]
    assert set().union(*held) == set(FOUR)
    for holder in holders:
        holder.kill()


def test_gpus_of_a_killed_process_become_free(tmp_path: Path):
    holder = Holder(4, tmp_path)
    holder.gpus()
    threading.Timer(0.5, holder.process.kill).start()

    with leased_gpus(3, tmp_path, FOUR) as lease:
        assert holder.process.wait() == -9
        assert lease.environment == {"CUDA_VISIBLE_DEVICES": "0,1,2"}
    holder.kill()


def test_a_process_that_inherits_the_descriptors_holds_the_lease(tmp_path: Path):
    with leased_gpus(1, tmp_path, ["0"]) as lease:
        heir = subprocess.Popen(["sleep", "600"], pass_fds=lease.descriptors)
    stop = StopEvents()
    stop.requested.set()

    with heir:
        with pytest.raises(GpuWaitStoppedError), leased_gpus(1, tmp_path, ["0"], stop=stop):
            pass
        heir.kill()
    with leased_gpus(1, tmp_path, ["0"], stop=stop):
        pass


def test_requests_for_more_than_half_of_the_gpus_do_not_deadlock(tmp_path: Path):
    def ask(available: Sequence[str]) -> None:
        for _ in range(3):
            with leased_gpus(3, tmp_path, available) as lease:
                assert not inside, f"{lease.gpus} were leased twice: three of four overlap"
                inside.append(lease.gpus)
                time.sleep(0.01)
                inside.clear()
                done.append(lease.gpus)

    inside: list[tuple[str, ...]] = []
    done: list[tuple[str, ...]] = []
    # In different orders, and one with another set of names, which waits in another queue.
    orders = [FOUR, FOUR[::-1], (*FOUR, "4")[1:4], ("2", "0", "3", "1")]
    threads = [threading.Thread(target=ask, args=(order,), daemon=True) for order in orders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60.0)

    assert len(done) == 3 * len(orders)


def test_a_stage_without_gpus_does_not_wait_and_sees_none(tmp_path: Path):
    holder = Holder(4, tmp_path)
    holder.gpus()

    with leased_gpus(0, tmp_path, FOUR) as lease:
        assert lease.environment == {"CUDA_VISIBLE_DEVICES": ""}
    holder.kill()


def test_a_request_for_more_than_the_machine_has_is_an_error(tmp_path: Path):
    with (
        pytest.raises(GpuError, match="5 GPUs are needed, and this machine has 0, 1, 2, 3"),
        leased_gpus(5, tmp_path, FOUR),
    ):
        pass
    with pytest.raises(GpuError, match="has none"), leased_gpus(1, tmp_path, ()):
        pass


@pytest.mark.parametrize(
    ("value", "gpus"),
    [
        ("0,3", ("0", "3")),
        (" 1 , 2 ", ("1", "2")),
        ("", ()),
        ("-1", ()),
        ("0,-1,2", ("0",)),
        ("GPU-8a", ("GPU-8a",)),
    ],
)
def test_the_variable_lists_the_available_gpus(value: str, gpus: tuple[str, ...]):
    assert available_gpus({"CUDA_VISIBLE_DEVICES": value}) == gpus


@pytest.mark.parametrize(
    ("script", "gpus"),
    [("printf '0\\n1\\n'", ("0", "1")), ("echo No devices were found", ()), ("echo no driver; exit 9", ())],
)
def test_without_the_variable_the_driver_lists_the_gpus(
    tmp_path: Path, monkeypatch, script: str, gpus: tuple[str, ...]
):
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    assert available_gpus({}) == gpus


def test_a_machine_without_the_drivers_program_has_none(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))

    assert available_gpus({}) == ()
