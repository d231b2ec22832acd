"""The guard ends processes of a killed flow within seconds."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from filelock import FileLock, Timeout
from lzn_testing import PROJECT

from pipelines.processes.commands import TAG_VARIABLE
from pipelines.processes.guard import GuardError, orphan_guard

PATIENCE = 60.0

# A flow with a running stage: a sleeper, and another in its own session. Both print their process id.
FLOW = """
import os, subprocess, sys, time
from pipelines.processes.guard import orphan_guard
tag, lock = sys.argv[1:]
descriptor = os.open(lock, os.O_RDWR | os.O_CREAT)
import fcntl
fcntl.flock(descriptor, fcntl.LOCK_EX)
sleeper = "import os, time; os.write(1, f'{os.getpid()}{os.linesep}'.encode()); time.sleep(600)"
stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + sleeper
escape = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {stubborn!r}], start_new_session=True); "
with orphan_guard(tag + "::", grace=1.0, keep_open=[descriptor]):
    environment = {**os.environ, "LZN_STAGE_PROCESS": tag + "::train"}
    subprocess.run([sys.executable, "-c", escape + sleeper], env=environment, start_new_session=True)
"""


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def guards_of(tag: str) -> list[psutil.Process]:
    return [process for process in psutil.process_iter(["cmdline"]) if tag in (process.info["cmdline"] or [])]


def eventually(check: Callable[[], bool]) -> float:
    """Wait until the check passes. Return the seconds."""
    start = time.monotonic()
    while not check():
        assert time.monotonic() - start < PATIENCE
        time.sleep(0.05)
    return time.monotonic() - start


def start_flow(tag: str, lock: Path) -> tuple["subprocess.Popen[str]", list[int]]:
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    flow = subprocess.Popen(
        [sys.executable, "-c", FLOW, tag, str(lock)], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert flow.stdout is not None
    return flow, [int(flow.stdout.readline()) for _ in range(2)]


def test_a_killed_flow_leaves_no_process_and_its_lock_is_held_until_then(tmp_path: Path):
    tag, lock = str(tmp_path), tmp_path / "lock"
    flow, pids = start_flow(tag, lock)
    with flow:
        flow.kill()
        flow.wait()

        with pytest.raises(Timeout):  # the process that ignores SIGTERM takes the whole second of grace
            FileLock(lock).acquire(timeout=0)
        seconds = eventually(lambda: not any(map(alive, pids)))
        with FileLock(lock).acquire(timeout=PATIENCE):
            assert not any(map(alive, pids))
        assert seconds < 10.0
    eventually(lambda: not guards_of(tag + "::"))


@pytest.mark.parametrize(
    "how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name
)
def test_signals_for_the_flow_do_not_end_the_guard(tmp_path: Path, how: signal.Signals):
    tag = str(tmp_path)
    flow, pids = start_flow(tag, tmp_path / "lock")
    with flow:
        [guard] = guards_of(tag + "::")
        guard.send_signal(how)
        time.sleep(0.2)  # a signal that ends it would do so by now
        flow.kill()
        eventually(lambda: not any(map(alive, pids)))


def test_after_the_block_the_guard_has_ended_and_the_processes_run(tmp_path: Path):
    tag = f"{tmp_path}::"
    environment = {**os.environ, TAG_VARIABLE: f"{tag}train"}
    with subprocess.Popen(["sleep", "600"], env=environment, start_new_session=True) as sleeper:
        with orphan_guard(tag, grace=1.0):
            assert len(guards_of(tag)) == 1
        with pytest.raises(ZeroDivisionError), orphan_guard(tag, grace=1.0):
            raise ZeroDivisionError

        assert not guards_of(tag)
        assert alive(sleeper.pid)
        sleeper.kill()


def test_a_killed_guard_does_not_disturb_the_block(tmp_path: Path):
    tag = f"{tmp_path}::"
    with orphan_guard(tag, grace=1.0):
        [guard] = guards_of(tag)
        guard.kill()

    assert not guards_of(tag)


def test_a_guard_keeps_neither_the_folder_nor_the_output_of_its_flow_open(tmp_path: Path):
    with orphan_guard(f"{tmp_path}::", grace=1.0):
        [guard] = guards_of(f"{tmp_path}::")
        assert guard.cwd() == "/"
        its, ours = ({Path(f"/proc/{pid}/fd/{n}").readlink() for n in (1, 2)} for pid in (guard.pid, "self"))
        assert not its & (ours - {Path(os.devnull)})


def test_a_guard_that_cannot_start_is_an_error_before_the_block(tmp_path: Path, monkeypatch):
    (tmp_path / "psutil.py").write_text("raise ImportError")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    with pytest.raises(GuardError, match="exit code 1"), orphan_guard(f"{tmp_path}::", grace=1.0):
        raise AssertionError("the block ran")


def test_an_empty_tag_is_refused():
    with pytest.raises(ValueError, match="every process"), orphan_guard("", grace=1.0):
        pass
