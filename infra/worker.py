"""A Prefect worker that lets flow runs save their work: `python -m infra.worker --grace-seconds 150 --pool gpu ...`.

On SIGTERM, Prefect's worker kills its flow runs within a second, before their own signal handlers run (3.8.8). In a
container, all other processes die with the first one. A training would lose its work since the last checkpoint, and
Prefect would show the run as Running. This program starts `prefect worker start`. When it gets SIGTERM, it sends
SIGTERM to the flow runs, waits for them, and then ends the worker.
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

from infra.processes import is_alive, send_signal

_PR_SET_CHILD_SUBREAPER: Final = 36
_POLL_SECONDS: Final = 1.0
_STOP_POLL_SECONDS: Final = 0.2
_WORKER_STOP_SECONDS: Final = 15.0


def main(arguments: Sequence[str]) -> int:
    """Run a worker until it ends or this program gets SIGTERM, SIGINT or SIGHUP. Return 0 after such a signal."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument(
        "--grace-seconds", type=float, default=120.0, help="time for flow runs to save their work"
    )
    options, worker_options = parser.parse_known_args(arguments)
    stop = threading.Event()

    def request_stop(number: int, frame: FrameType | None) -> None:
        stop.set()

    _adopt_orphans()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, request_stop)
    # In its own session the worker does not get Ctrl-C of a terminal: this program decides who is signalled first.
    worker = subprocess.Popen(
        [sys.executable, "-m", "prefect", "worker", "start", *worker_options], start_new_session=True
    )
    while worker.poll() is None and not stop.wait(_POLL_SECONDS):
        _reap_adopted(worker)
    deadline = time.monotonic() + options.grace_seconds
    if worker.poll() is None:
        drain(worker, deadline=deadline)
    end_remaining(deadline=deadline)
    if stop.is_set():
        return 0
    return (
        128 - worker.returncode if worker.returncode < 0 else worker.returncode
    )  # as a shell reports a signal


def drain(worker: "subprocess.Popen[bytes]", *, deadline: float) -> None:
    """Send SIGTERM to a worker's flow runs, wait for them until the deadline, and end the worker.

    The worker is suspended meanwhile, so that it starts no run. Flow runs themselves report their end to the server.
    """
    worker.send_signal(signal.SIGSTOP)
    print("Stopping: waiting for this worker's flow runs to save their work.", flush=True)
    for process in _descendants(worker.pid, recursive=False):
        send_signal(process, signal.SIGTERM)
    while _descendants(worker.pid) and time.monotonic() < deadline:
        time.sleep(_STOP_POLL_SECONDS)
    worker.send_signal(signal.SIGCONT)
    worker.terminate()
    try:
        worker.wait(_WORKER_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.wait()


def end_remaining(*, deadline: float) -> None:
    """Wait for remaining descendants, such as guards that end orphans; kill them at the deadline."""
    while remaining := _descendants(os.getpid()):
        if time.monotonic() >= deadline:
            for process in remaining:
                send_signal(process, signal.SIGKILL)
        time.sleep(_STOP_POLL_SECONDS)


def _descendants(pid: int, *, recursive: bool = True) -> list[psutil.Process]:
    """Return the running processes below `pid`, without zombies."""
    try:
        children = psutil.Process(pid).children(recursive=recursive)
    except psutil.NoSuchProcess:
        return []
    return [child for child in children if is_alive(child.pid)]


def _adopt_orphans() -> None:
    """Become the parent of descendants whose parent dies (Linux)."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def _reap_adopted(worker: "subprocess.Popen[bytes]") -> None:
    """Wait for adopted processes that have ended. The worker itself is left to its Popen."""
    for child in psutil.Process().children():
        if child.pid != worker.pid and not is_alive(child.pid):
            try:
                os.waitpid(child.pid, os.WNOHANG)
            except ChildProcessError:
                continue  # reaped elsewhere


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
