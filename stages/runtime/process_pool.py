"""Tasks in processes of their own, several at once, which end together: by a signal, a failure, or the parent's end."""

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

from stages.runtime.signals import StopRequest

PASSED_ON = (signal.SIGTERM, signal.SIGINT)


def run_in_processes(tasks: Mapping[str, Callable[[], None]], *, at_once: int) -> None:
    """Run every task in a process of its own, ``at_once`` at a time; returns when all have ended well.

    The processes are forks, which cost nothing to start: the parent must not have used CUDA or several threads yet.
    SIGTERM and SIGINT are passed on to them. Where a task fails, the others get SIGTERM and the rest do not start.

    Raises:
        SystemExit: with the exit code of the first that failed, whose process said why; of a stop, that of its signal.
    """
    waiting = dict(tasks)
    running: dict[str, ForkProcess] = {}
    failed: str | None = None
    with _passed_on_to(running) as stop:
        while running or (waiting and failed is None and not stop()):
            while waiting and len(running) < at_once and failed is None and not stop():
                name = next(iter(waiting))
                running[name] = _start(waiting.pop(name))
            wait([process.sentinel for process in running.values()])
            for name in [name for name, process in running.items() if not process.is_alive()]:
                exit_code = running.pop(name).exitcode
                if exit_code != 0 and failed is None and not stop():
                    failed = _end_of(name, exit_code)
                    for other in running.values():
                        other.terminate()
    if stop():
        sys.exit(stop.exit_code)
    if failed is not None:
        sys.exit(f"{failed}; what the others had done is kept: start the same command again to go on")


def end_with_parent() -> None:
    """End this process within a second or so when the one that started it is gone, killed where it could not end it."""
    threading.Thread(target=_end_when_gone, args=(os.getppid(),), daemon=True).start()


def _end_when_gone(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


def _start(task: Callable[[], None]) -> ForkProcess:
    process = multiprocessing.get_context("fork").Process(target=_run, args=(task,))
    process.start()
    return process


def _run(task: Callable[[], None]) -> None:
    """In the new process. Ctrl-C on a terminal would reach it twice if it did not leave the terminal's group."""
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    end_with_parent()
    task()


@contextmanager
def _passed_on_to(running: Mapping[str, ForkProcess]) -> Iterator[StopRequest]:
    request = StopRequest()

    def pass_on(number: int, frame: FrameType | None) -> None:
        request.signal = signal.Signals(number)
        for process in running.values():
            if process.pid is not None and process.is_alive():
                os.kill(process.pid, number)

    before = {number: signal.signal(number, pass_on) for number in PASSED_ON}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end_of(name: str, exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        return f"{name} was killed by {signal.Signals(-exit_code).name}"
    return f"{name} failed"
