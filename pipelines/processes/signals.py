"""Turn the signals that end a program into a request that running stages can follow in their own time."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_NOTICE = b"\nStopping the stages; they may save their work first. Press Ctrl-C again to kill them.\n"


class StopEvents:
    """Whether to stop (`requested`), and whether to do so without waiting (`forced`).

    Threads that run stages read it; only a signal handler or the owner sets it.
    """

    def __init__(self) -> None:
        self.requested = threading.Event()
        self.forced = threading.Event()
        self.signal_number: int | None = None

    def handle_signal(self, signal_number: int, frame: FrameType | None) -> None:
        """First signal: request a stop. SIGINT after that: force it."""
        if self.requested.is_set():
            if signal_number == signal.SIGINT:
                self.forced.set()
            return
        self.signal_number = signal_number
        self.requested.set()
        os.write(2, _NOTICE)  # logging and print may hold a lock that this handler interrupted


@contextmanager
def stop_on_signals() -> Iterator[StopEvents]:
    """Catch SIGINT, SIGTERM and SIGHUP while the body runs; afterwards their former handler gets the signal.

    Signals that are ignored (a job started with `&` or nohup) stay ignored. Outside of the main thread, where
    Python allows no handlers, no signal is caught.
    """
    stop = StopEvents()
    former = _install(stop) if threading.current_thread() is threading.main_thread() else {}
    try:
        yield stop
    except BaseException:
        stop.requested.set()  # nobody will wait for the stages that still run
        raise
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
        if stop.signal_number is not None:
            signal.raise_signal(stop.signal_number)


def exit_cleanly_on_signals() -> None:
    """Let SIGTERM and SIGHUP end this program through its exit handlers, which end Prefect's server."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _exit)


def _exit(signal_number: int, frame: FrameType | None) -> None:
    sys.exit(128 + signal_number)


def _install(stop: StopEvents) -> dict[signal.Signals, signal.Handlers]:
    caught = [number for number in STOP_SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    return {number: signal.signal(number, stop.handle_signal) for number in caught}  # type: ignore[misc]
