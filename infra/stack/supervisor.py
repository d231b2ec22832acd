"""The background program that starts a stack's services, restarts them when they die, and stops all on a signal.

It is two processes. The parent waits for the child, and stops all services if the child was killed. If the parent is
killed, the child stops them. If both are killed, the next `up` or `down` does.
"""

import argparse
import contextlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Final

from infra.stack import process_tags
from infra.stack.layout import Layout, open_private, write_private
from infra.stack.lock import ALREADY_RUNS, acquire_lock
from infra.stack.restarter import Restarter
from infra.stack.service import Service
from infra.stack.services import stack_services
from infra.stack.status_file import StatusFile

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_WATCH_SECONDS: Final = 1.0
_GRACE_SECONDS: Final = 5.0
_LOG_BYTES: Final = 50 * 2**20


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until a signal. Return `ALREADY_RUNS` if the stack has a supervisor."""
    parser = argparse.ArgumentParser(prog="python -m infra.stack.supervisor", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--gpus", type=int, required=True)
    options = parser.parse_args(arguments)
    layout = Layout(options.folder)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stdout)
    logging.raiseExceptions = False  # go on if the log's disk is full
    lock = acquire_lock(layout)
    if lock is None:
        return ALREADY_RUNS
    with lock:
        parent = os.getpid()
        child = os.fork()
        if child == 0:
            services = stack_services(layout, workers=options.workers, gpus=options.gpus)
            return _supervise(layout, services, parent=parent)
        return _wait_for_child(layout, child)


def _wait_for_child(layout: Layout, child: int) -> int:
    """Forward signals to the child; when it has ended, stop what it left running."""

    def forward(number: int, frame: FrameType | None) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, number)

    for number in _SIGNALS:
        signal.signal(number, forward)
    _, status = os.waitpid(child, 0)
    process_tags.terminate(layout, grace=_GRACE_SECONDS)
    layout.supervisor_pid.unlink(missing_ok=True)
    return os.waitstatus_to_exitcode(status)


def _supervise(layout: Layout, services: Sequence[Service], *, parent: int) -> int:
    """Run the services until a signal, or until the parent has died."""
    stop = threading.Event()
    for number in _SIGNALS:  # handlers, because child processes would inherit ignored signals
        signal.signal(number, lambda number, frame: stop.set())
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    write_private(layout.supervisor_pid, f"{os.getpid()}\n")
    statuses = StatusFile(layout, [service.name for service in services])
    restarters: dict[str, Restarter] = {}
    for service in services:
        needs = [restarters[name] for name in service.needs]
        restarters[service.name] = Restarter(service, layout=layout, statuses=statuses, needs=needs)
    for restarter in restarters.values():
        restarter.start()
    while not stop.wait(_WATCH_SECONDS) and os.getppid() == parent:
        _rotate_logs(layout, services)
    begin = time.monotonic()
    for group in _stop_order(services):
        with ThreadPoolExecutor(len(group)) as pool:
            list(pool.map(lambda service: restarters[service.name].stop(), group))
    logging.info("stopped in %.1f s", time.monotonic() - begin)
    return 0


def _stop_order(services: Sequence[Service]) -> Iterator[list[Service]]:
    """Yield groups of services to stop one after the other: each is needed by none that still runs."""
    running = list(services)
    while running:
        needed = {name for service in running for name in service.needs}
        yield [service for service in running if service.name not in needed]
        running = [service for service in running if service.name in needed]


def _rotate_logs(layout: Layout, services: Sequence[Service]) -> None:
    """Copy a large log to NAME.old.log and empty it; servers keep the file open, so it cannot be renamed."""
    for service in services:
        log = layout.log(service.name)
        with contextlib.suppress(OSError):  # no log yet, or the disk is full
            if log.stat().st_size > _LOG_BYTES:
                old = log.with_suffix(".old.log")
                old.unlink(missing_ok=True)
                with open_private(old) as copy:
                    copy.write(log.read_bytes())
                os.truncate(log, 0)


if __name__ == "__main__":
    sys.exit(main())
