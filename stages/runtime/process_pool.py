"""Parallel tasks, each in its own process, which all end after a signal, a failure or the end of their parent."""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import wait
from multiprocessing.context import ForkProcess
from types import FrameType

from stages.runtime.signals import StopRequest, signal_handlers


def run_in_processes(
    tasks: Mapping[str, Callable[[], None]],
    *,
    num_processes: int,
    meanwhile: Callable[[], None] = lambda: None,
) -> None:
    """Run each task in its own process, at most ``num_processes`` at a time; return when all have succeeded.

    ``meanwhile`` is called once in this process, after the first processes have started.

    The processes are forks, which start at once, so the parent must not have used CUDA or several threads before.
    SIGTERM and SIGINT are forwarded to them. If a task fails, the running ones get SIGTERM and no other starts.

    Raises:
        SystemExit: a task failed; the message names the first that did. Or a signal stopped the tasks: its exit code.
    """
    waiting = dict(tasks)
    running: dict[str, ForkProcess] = {}
    failed: str | None = None
    is_first_round = True
    with _forward_signals_to(running) as stop:
        while running or (waiting and failed is None and not stop()):
            while waiting and len(running) < num_processes and failed is None and not stop():
                name = next(iter(waiting))
                running[name] = _start(waiting.pop(name))
            if is_first_round:
                meanwhile()
                is_first_round = False
            wait([process.sentinel for process in running.values()])
            for name in [name for name, process in running.items() if not process.is_alive()]:
                exit_code = running.pop(name).exitcode
                if exit_code != 0 and failed is None and not stop():
                    failed = describe_failure(name, exit_code)
                    for other in running.values():
                        other.terminate()
    if stop():
        sys.exit(stop.exit_code)
    if failed is not None:
        sys.exit(f"{failed}; the work of the other tasks is kept: run the same command again to continue")


def exit_with_parent() -> None:
    """End this process within about a second after its parent has ended, for example because it was killed."""
    threading.Thread(target=_exit_after, args=(os.getppid(),), daemon=True).start()


def _exit_after(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


def _start(task: Callable[[], None]) -> ForkProcess:
    process = multiprocessing.get_context("fork").Process(target=_run, args=(task,))
    process.start()
    return process


def _run(task: Callable[[], None]) -> None:
    """Run the task in the new process.

    The process leaves the terminal's process group: otherwise it would get Ctrl-C twice, from the terminal and from
    its parent.
    """
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    exit_with_parent()
    task()


@contextmanager
def _forward_signals_to(running: Mapping[str, ForkProcess]) -> Iterator[StopRequest]:
    request = StopRequest()

    def forward(number: int, frame: FrameType | None) -> None:
        request.signal = signal.Signals(number)
        for process in running.values():
            if process.pid is not None and process.is_alive():
                os.kill(process.pid, number)

    with signal_handlers(forward):
        yield request


def describe_failure(name: str, exit_code: int | None) -> str:
    """Return how a process failed, for an error message; ``exit_code`` is negative if a signal killed it."""
    if exit_code is not None and exit_code < 0:
        return f"{name} was killed by {signal.Signals(-exit_code).name}"
    return f"{name} failed with exit code {exit_code}"
