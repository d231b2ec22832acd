"""SIGTERM and SIGINT, sent to this process, become requests to stop."""

import os
import signal

import pytest

from stages.runtime.signals import stop_requests


def send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


def test_without_a_signal_there_is_no_request() -> None:
    with stop_requests() as request:
        assert not request()


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_becomes_a_request_and_interrupts_nothing(number: signal.Signals, exit_code: int) -> None:
    with stop_requests() as request:
        send(number)
        assert request()
        assert request.signal == number
        assert request.exit_code == exit_code
    assert request()  # also after the block


def test_a_second_ctrl_c_raises_keyboard_interrupt() -> None:
    with stop_requests() as request:
        send(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGINT)
        assert request()


def test_a_second_sigterm_is_still_a_request() -> None:
    with stop_requests() as request:
        send(signal.SIGTERM)
        send(signal.SIGTERM)
        assert request.exit_code == 143


def handlers() -> list[object]:
    return [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]


def test_the_former_handlers_are_restored() -> None:
    before = handlers()
    with stop_requests():
        send(signal.SIGTERM)
    assert handlers() == before


def test_the_former_handlers_are_restored_after_an_error() -> None:
    def fail_after_a_signal() -> None:
        with stop_requests():
            send(signal.SIGINT)
            raise ZeroDivisionError

    before = handlers()
    with pytest.raises(ZeroDivisionError):
        fail_after_a_signal()
    assert handlers() == before
