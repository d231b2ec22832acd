"""The program in the background that starts a stack's services, restarts what dies, and ends all when told to.

It is two processes: the first does nothing but wait for the second, and ends whatever that leaves when it was killed.
Whichever of the two is killed, the other ends the stack; if both are, the next `up` or `down` does.
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

from infra.stack import marks
from infra.stack.board import Board
from infra.stack.catalogue import catalogue
from infra.stack.keeper import Keeper
from infra.stack.layout import Layout, write_private
from infra.stack.lock import ALREADY_RUNS, lock
from infra.stack.service import Service

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_WATCH_SECONDS: Final = 1.0
_GRACE_SECONDS: Final = 5.0
_LOG_BYTES: Final = 50 * 2**20


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until a signal ends it; 3 if the stack already has a supervisor."""
    parser = argparse.ArgumentParser(prog="python -m infra.stack.supervisor", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--gpus", type=int, required=True)
    options = parser.parse_args(arguments)
    layout = Layout(options.folder)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stdout)
    logging.raiseExceptions = False  # a log on a full disk is no reason to end
    held = lock(layout)
    if held is None:
        return ALREADY_RUNS
    with held:
        guardian = os.getpid()
        child = os.fork()
        if child == 0:
            services = catalogue(layout, workers=options.workers, gpus=options.gpus)
            return _supervise(layout, services, guardian=guardian)
        return _guard(layout, child)


def _guard(layout: Layout, child: int) -> int:
    def forward(number: int, frame: FrameType | None) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, number)

    for number in _SIGNALS:
        signal.signal(number, forward)
    _, status = os.waitpid(child, 0)
    marks.end(layout, grace=_GRACE_SECONDS)
    layout.supervisor_pid.unlink(missing_ok=True)
    return os.waitstatus_to_exitcode(status)


def _supervise(layout: Layout, services: Sequence[Service], *, guardian: int) -> int:
    """Until a signal, or the guardian's death. Handlers in place of ignored signals: children get the defaults."""
    stop = threading.Event()
    for number in _SIGNALS:
        signal.signal(number, lambda number, frame: stop.set())
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    write_private(layout.supervisor_pid, f"{os.getpid()}\n")
    board = Board(layout, [service.name for service in services])
    keepers: dict[str, Keeper] = {}
    for service in services:
        needs = [keepers[name] for name in service.needs]
        keepers[service.name] = Keeper(service, layout=layout, board=board, needs=needs)
    for keeper in keepers.values():
        keeper.start()
    while not stop.wait(_WATCH_SECONDS) and os.getppid() == guardian:
        _shorten_logs(layout, services)
    begin = time.monotonic()
    for level in _levels(services):
        with ThreadPoolExecutor(len(level)) as pool:
            list(pool.map(lambda service: keepers[service.name].stop(), level))
    logging.info("stopped in %.1f s", time.monotonic() - begin)
    return 0


def _levels(services: Sequence[Service]) -> Iterator[list[Service]]:
    """Groups to end one after the other: first those that no other needs."""
    left = list(services)
    while left:
        needed = {name for service in left for name in service.needs}
        yield [service for service in left if service.name not in needed]
        left = [service for service in left if service.name in needed]


def _shorten_logs(layout: Layout, services: Sequence[Service]) -> None:
    """Keep one old log beside a new one. Servers hold theirs open to append, so it is copied and emptied."""
    for service in services:
        log = layout.log(service.name)
        with contextlib.suppress(OSError):  # not there yet, or the disk is full
            if log.stat().st_size > _LOG_BYTES:
                log.with_suffix(".old.log").write_bytes(log.read_bytes())
                os.truncate(log, 0)


if __name__ == "__main__":
    sys.exit(main())
