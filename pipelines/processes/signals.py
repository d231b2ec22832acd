"""Signals that end a program, turned into a request that lets running stages save their work."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_NOTICE = b"\nStopping the stages after they have saved their work. Press Ctrl-C again to kill them.\n"


class StopEvents:
    """Events that threads which run stages check.

    Attributes:
        requested: the stages should save their work and end.
        forced: the stages are killed without waiting.
        signal_number: the first signal that was received.
    """

    def __init__(self) -> None:
        self.requested = threading.Event()
        self.forced = threading.Event()
        self.signal_number: int | None = None

    def handle_signal(self, signal_number: int, frame: FrameType | None) -> None:
        """Request a stop on the first signal; force it on a later SIGINT."""
        if self.requested.is_set():
            if signal_number == signal.SIGINT:
                self.forced.set()
            return
        self.signal_number = signal_number
        self.requested.set()
        os.write(2, _NOTICE)  # not logging or print: the interrupted code may hold their lock


@contextmanager
def stop_on_signals() -> Iterator[StopEvents]:
    """Catch SIGINT, SIGTERM and SIGHUP inside the block. After it, the former handler gets a caught signal.

    Ignored signals (of a job started with `&` or nohup) stay ignored. Outside the main thread, where Python
    allows no handlers, no signal is caught. An error in the block requests a stop too.
    """
    stop = StopEvents()
    former = _install(stop) if threading.current_thread() is threading.main_thread() else {}
    try:
        yield stop
    except BaseException:
        stop.requested.set()  # nothing waits for the stages that still run
        raise
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
        if stop.signal_number is not None:
            signal.raise_signal(stop.signal_number)


def exit_cleanly_on_signals() -> None:
    """Let SIGTERM and SIGHUP raise SystemExit, so that cleanup and exit handlers run."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _exit)


def _exit(signal_number: int, frame: FrameType | None) -> None:
    sys.exit(128 + signal_number)


def _install(stop: StopEvents) -> dict[signal.Signals, signal.Handlers]:
    caught = [number for number in STOP_SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    return {number: signal.signal(number, stop.handle_signal) for number in caught}  # type: ignore[misc]
