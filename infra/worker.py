"""A Prefect worker on a machine that may be taken away: `python -m infra.worker --grace-seconds 150 --pool gpu ...`.

Prefect's worker answers SIGTERM by killing its flow runs at once (3.8.8: within a second, their own handlers of
SIGTERM do not run), and in a container everything that is left dies with the first process. A training would lose
what it did since its last checkpoint, and the run would stand as Running until somebody notices. This program starts
`prefect worker start`, and when it is told to stop it asks the flow runs first, waits for them, and ends the worker
after that.
"""

import argparse
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from types import FrameType
from typing import Final

import psutil

_PR_SET_CHILD_SUBREAPER: Final = 36
_POLL_SECONDS: Final = 1.0
_POLL_SECONDS_AT_END: Final = 0.2
_WORKER_END_SECONDS: Final = 15.0


def main(arguments: Sequence[str]) -> int:
    """Run a worker until it ends or SIGTERM, SIGINT or SIGHUP asks for it; the exit code, 0 after such a request."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--grace-seconds", type=float, default=120.0, help="for flow runs to save their work")
    options, worker_options = parser.parse_known_args(arguments)
    stop = threading.Event()

    def request_stop(number: int, frame: FrameType | None) -> None:
        stop.set()

    _adopt_orphans()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, request_stop)
    # A session of its own: Ctrl-C in a terminal reaches this program alone, which then keeps the order.
    worker = subprocess.Popen(
        [sys.executable, "-m", "prefect", "worker", "start", *worker_options], start_new_session=True
    )
    while worker.poll() is None and not stop.wait(_POLL_SECONDS):
        _reap(worker)
    deadline = time.monotonic() + options.grace_seconds
    if worker.poll() is None:
        drain(worker, deadline=deadline)
    end_left_over(deadline=deadline)
    if stop.is_set():
        return 0
    return (
        128 - worker.returncode if worker.returncode < 0 else worker.returncode
    )  # as shells say it of a signal


def drain(worker: "subprocess.Popen[bytes]", *, deadline: float) -> None:
    """End a worker's flow runs by SIGTERM and then the worker; flow runs that outlast the deadline die with it.

    The worker is suspended meanwhile, so that it takes no new run: a flow run reports its end to the server itself.
    """
    worker.send_signal(signal.SIGSTOP)
    print("Stopping: the flow runs of this worker are asked to save their work.", flush=True)
    for process in _descendants(worker.pid, recursive=False):
        _send(process, signal.SIGTERM)
    while _descendants(worker.pid) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS_AT_END)
    worker.send_signal(signal.SIGCONT)
    worker.terminate()
    try:
        worker.wait(_WORKER_END_SECONDS)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.wait()


def end_left_over(*, deadline: float) -> None:
    """Wait for what the worker left running (guards that end orphans); kill it at the deadline."""
    while left := _descendants(os.getpid()):
        if time.monotonic() >= deadline:
            for process in left:
                _send(process, signal.SIGKILL)
        time.sleep(_POLL_SECONDS_AT_END)


def _descendants(pid: int, *, recursive: bool = True) -> list[psutil.Process]:
    """Living processes below `pid`; one that has ended and was not waited for does not count."""
    try:
        children = psutil.Process(pid).children(recursive=recursive)
    except psutil.NoSuchProcess:
        return []
    return [child for child in children if _is_alive(child)]


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _send(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return  # it ended meanwhile


def _adopt_orphans() -> None:
    """Make processes whose parent dies children of this one, so that none is lost sight of (Linux)."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def _reap(worker: "subprocess.Popen[bytes]") -> None:
    """Wait for adopted processes that have ended; the worker is left to its Popen."""
    for child in psutil.Process().children():
        if child.pid != worker.pid and not _is_alive(child):
            try:
                os.waitpid(child.pid, os.WNOHANG)
            except ChildProcessError:
                continue  # waited for in between


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
