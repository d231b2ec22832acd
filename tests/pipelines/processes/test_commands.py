"""Real processes, their children and grandchildren: all output arrives, and no process remains."""

import os
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import psutil
import pytest

from pipelines.processes.commands import (
    TAG_VARIABLE,
    CommandResult,
    Ending,
    Limits,
    end_orphans,
    run_streamed,
)
from pipelines.processes.signals import StopEvents

# Enough for a busy machine to start a Python process, and short enough for a test.
GRACE = 1.0
LONG = 600.0


def run(
    code: str,
    *,
    lines: list[str],
    timeout: float = 60.0,
    grace: float = GRACE,
    stop: StopEvents | None = None,
) -> CommandResult:
    return run_streamed(
        [sys.executable, "-uc", textwrap.dedent(code)],
        tag=f"test::{id(lines)}",
        environment=os.environ,
        limits=Limits(timeout=timeout, grace=grace),
        stop=stop or StopEvents(),
        log=lines.append,
    )


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def stop_when(lines: list[str], last: str, stop: StopEvents, *, forced: bool = False) -> threading.Thread:
    """Request a stop from another thread as soon as `last` has been printed."""

    def watch() -> None:
        while last not in lines:
            time.sleep(0.01)
        stop.requested.set()
        if forced:
            stop.forced.set()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread


# Four children: a plain one, one that ignores SIGTERM, one in another session, and one in another session after a
# double fork. Each prints its process id in a single write, because lines of processes that share a pipe would mix.
TREE = """
    import os, subprocess, sys, time
    sleeper = "import os, time; os.write(1, f'{os.getpid()}{os.linesep}'.encode()); time.sleep(600)"
    stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + sleeper
    orphaned = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {sleeper!r}], start_new_session=True)"
    children = [subprocess.Popen([sys.executable, "-c", code]) for code in (sleeper, stubborn)]
    children.append(subprocess.Popen([sys.executable, "-c", sleeper], start_new_session=True))
    subprocess.run([sys.executable, "-c", orphaned], start_new_session=True)
"""


def test_output_and_errors_arrive_line_by_line_in_order():
    lines: list[str] = []

    ended = run(
        "import sys; print('one'); print('two', file=sys.stderr); print('three', end='')", lines=lines
    )

    assert lines == ["one", "two", "three"]
    assert (ended.returncode, ended.ending, ended.tail) == (0, Ending.BY_ITSELF, ("one", "two", "three"))


def test_lines_arrive_while_the_command_runs():
    arrivals: list[float] = []
    run_streamed(
        [sys.executable, "-uc", "import time; print('a'); time.sleep(0.5); print('b')"],
        tag="test::arrivals",
        environment=os.environ,
        limits=Limits(timeout=60.0, grace=GRACE),
        stop=StopEvents(),
        log=lambda line: arrivals.append(time.monotonic()),
    )

    assert arrivals[1] - arrivals[0] > 0.3  # half a second, less the delay of the first line


def test_each_state_of_a_progress_bar_is_a_line_and_invalid_utf8_is_replaced():
    lines: list[str] = []

    run(r"import os; os.write(1, b'10%\r20%\r\n\xff caf\xc3\xa9\n\n')", lines=lines)

    assert lines == ["10%", "20%", "\N{REPLACEMENT CHARACTER} café"]


def test_the_tail_holds_the_last_lines_of_a_long_output():
    ended = run("for i in range(5000): print(i)", lines=[])

    assert ended.tail == tuple(str(i) for i in range(4980, 5000))


def test_the_exit_code_is_that_of_the_command():
    assert run("raise SystemExit(7)", lines=[]).returncode == 7


def test_a_timeout_ends_the_whole_tree():
    lines: list[str] = []

    ended = run(TREE + "    time.sleep(600)", lines=lines, timeout=8.0)  # time for five processes to start

    assert ended.ending is Ending.TIMEOUT
    assert len(lines) == 4
    assert not [pid for pid in map(int, lines) if alive(pid)]


def test_a_stop_lets_child_processes_save_their_work_first(tmp_path: Path):
    lines: list[str] = []
    stop = StopEvents()
    child = f"""
        import signal, sys, time
        def save(number, frame):
            time.sleep(0.3)
            open({str(tmp_path / "checkpoint")!r}, "w").write("saved")
            sys.exit(3)
        signal.signal(signal.SIGTERM, save)
        print("ready", flush=True)
        time.sleep(600)
    """
    stop_when(lines, "ready", stop)

    code = f"import subprocess, sys; sys.exit(subprocess.call([sys.executable, '-c', {textwrap.dedent(child)!r}]))"
    ended = run(code, lines=lines, stop=stop, grace=LONG)

    assert (tmp_path / "checkpoint").read_text() == "saved"
    assert (ended.ending, ended.returncode) == (Ending.STOPPED, 3)  # the parent saw its child's exit code


def test_a_forced_stop_does_not_wait():
    lines: list[str] = []
    stop = StopEvents()
    stop_when(lines, "up", stop, forced=True)
    start = time.monotonic()

    run(TREE + "    os.write(1, b'up\\n'); time.sleep(600)", lines=lines, stop=stop, grace=LONG)

    assert time.monotonic() - start < 30.0  # far below the grace period of ten minutes
    assert not [pid for pid in lines if pid != "up" and alive(int(pid))]


def test_a_command_that_succeeds_leaves_no_process_in_the_background():
    lines: list[str] = []

    ended = run(TREE + "    time.sleep(3.0)", lines=lines)

    assert (ended.returncode, ended.ending) == (0, Ending.BY_ITSELF)
    assert not [pid for pid in map(int, lines) if alive(pid)]


def test_orphans_of_another_flow_are_ended_and_own_processes_are_not():
    def start(tag: str) -> "subprocess.Popen[bytes]":
        environment = {**os.environ, TAG_VARIABLE: tag}
        return subprocess.Popen(["sleep", "600"], env=environment, start_new_session=True)

    orphan, mine, elsewhere = start("/w::1::train"), start("/w::2::train"), start("/other::1::train")
    try:
        count = end_orphans("/w::", own="/w::2::", grace=5.0)

        assert count == 1
        assert (alive(orphan.pid), alive(mine.pid), alive(elsewhere.pid)) == (False, True, True)
    finally:
        for process in (orphan, mine, elsewhere):
            process.kill()
            process.wait()


def test_an_error_in_the_log_function_does_not_leave_the_command_running():
    pids: list[int] = []

    def broken(line: str) -> None:
        pids.append(int(line))
        raise ConnectionError("the log is gone")

    with pytest.raises(ConnectionError):
        run_streamed(
            [sys.executable, "-uc", "import os, time; print(os.getpid()); time.sleep(600)"],
            tag="test::broken",
            environment=os.environ,
            limits=Limits(timeout=LONG, grace=GRACE),
            stop=StopEvents(),
            log=broken,
        )

    assert not alive(pids[0])
