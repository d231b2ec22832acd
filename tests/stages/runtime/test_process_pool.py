"""Parallel tasks in real processes: all succeed, or all end."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import psutil
import pytest

from stages.runtime.process_pool import run_in_processes

SLEEPERS = """
import sys, time
from pathlib import Path
from stages.runtime.process_pool import run_in_processes

def sleep(name):
    Path(name).touch()
    time.sleep(120)

run_in_processes({name: lambda name=name: sleep(name) for name in sys.argv[1:]}, num_processes=2)
"""


def write_pid(file: Path) -> None:
    file.write_text(str(os.getpid()))


def exit_with(code: int) -> None:
    sys.exit(code)


def wait_for(files: list[Path]) -> None:
    deadline = time.monotonic() + 60
    while not all(file.exists() for file in files):
        assert time.monotonic() < deadline, "the tasks did not start"
        time.sleep(0.01)


def test_every_task_runs_in_its_own_process(tmp_path: Path) -> None:
    files = [tmp_path / str(number) for number in range(5)]
    run_in_processes({file.name: partial(write_pid, file) for file in files}, num_processes=2)
    pids = {int(file.read_text()) for file in files}
    assert len(pids) == 5
    assert os.getpid() not in pids


def test_a_failure_ends_the_running_tasks_and_starts_no_other(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tasks = {
        "first": partial(time.sleep, 60),
        "second": partial(exit_with, 3),
        "third": partial(write_pid, tmp_path / "third"),
    }
    start = time.monotonic()
    with pytest.raises(
        SystemExit, match="second failed with exit code 3; the work of the other tasks is kept"
    ):
        run_in_processes(tasks, num_processes=2)
    assert time.monotonic() - start < 30  # the first task sleeps for a minute
    assert not (tmp_path / "third").exists()


def test_the_error_names_a_killed_task() -> None:
    with pytest.raises(SystemExit, match="victim was killed by SIGKILL"):
        run_in_processes({"victim": lambda: os.kill(os.getpid(), signal.SIGKILL)}, num_processes=1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "SIGKILL"])
def test_a_signal_to_the_parent_leaves_no_process(tmp_path: Path, number: signal.Signals) -> None:
    files = [tmp_path / name for name in ("a", "b")]
    parent = subprocess.Popen([sys.executable, "-c", SLEEPERS, *map(str, files)])
    wait_for(files)
    children = psutil.Process(parent.pid).children()
    assert len(children) == 2
    parent.send_signal(number)
    expected = 128 + signal.SIGTERM if number == signal.SIGTERM else -signal.SIGKILL
    assert parent.wait(timeout=60) == expected
    _, alive = psutil.wait_procs(children, timeout=30)
    assert not alive
