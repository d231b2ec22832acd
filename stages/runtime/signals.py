"""SIGTERM and Ctrl-C as a request to stop at the next safe point."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
"""The signals that request a stop. A process that started others forwards them."""


class StopRequest:
    """Whether the process was asked to stop, and by which signal."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None

    def __call__(self) -> bool:
        """Return whether there was a request."""
        return self.signal is not None

    @property
    def exit_code(self) -> int:
        """The exit code that a shell reports for a process ended by the signal."""
        assert self.signal is not None
        return 128 + self.signal


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Turn SIGTERM and SIGINT into a `StopRequest` inside the block; a second SIGINT raises KeyboardInterrupt."""
    request = StopRequest()

    def handle(number: int, frame: FrameType | None) -> None:
        request.signal = signal.Signals(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    with signal_handlers(handle):
        yield request


@contextmanager
def signal_handlers(handle: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Call ``handle`` for SIGTERM and SIGINT inside the block, and restore the former handlers after it."""
    former = {number: signal.signal(number, handle) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
