"""Signals become a stop request, and their former handler gets them after the block."""

import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from pipelines.processes.signals import stop_on_signals


@dataclass(frozen=True)
class Seen:
    requested: bool
    forced: bool


@pytest.fixture(autouse=True)
def _interruptible() -> Iterator[None]:
    """Handle SIGINT as in a terminal: a job that a shell starts in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def pressed(*, times: int) -> Seen:
    """Return the events at the end of a block with Ctrl-C in it. The interrupt must come after the block."""
    seen: list[Seen] = []

    def body() -> None:
        with stop_on_signals() as stop:
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)
            seen.append(Seen(stop.requested.is_set(), stop.forced.is_set()))

    with pytest.raises(KeyboardInterrupt):
        body()
    return seen[0]


def test_ctrl_c_requests_a_stop_and_interrupts_after_the_block():
    assert pressed(times=1) == Seen(requested=True, forced=False)


def test_a_second_ctrl_c_forces_the_stop():
    assert pressed(times=2) == Seen(requested=True, forced=True)


def test_the_former_handler_gets_the_signal_that_was_caught():
    received: list[int] = []
    former = signal.signal(signal.SIGTERM, lambda number, frame: received.append(number))
    try:
        with stop_on_signals():
            signal.raise_signal(signal.SIGTERM)
            assert received == []
        assert received == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, former)


def test_a_signal_that_is_ignored_stays_ignored():
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_on_signals() as stop:
            signal.raise_signal(signal.SIGHUP)
        assert not stop.requested.is_set()
    finally:
        signal.signal(signal.SIGHUP, former)


def test_an_error_in_the_block_requests_a_stop():
    with pytest.raises(ZeroDivisionError), stop_on_signals() as stop:
        raise ZeroDivisionError

    assert stop.requested.is_set()


def test_outside_the_main_thread_no_handler_is_changed():
    before = signal.getsignal(signal.SIGINT)
    inside: list[object] = []

    def body() -> None:
        with stop_on_signals():
            inside.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()

    assert inside == [before]
