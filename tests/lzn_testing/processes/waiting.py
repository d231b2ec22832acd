"""Wait for a condition that other processes fulfil."""

import time
from collections.abc import Callable


def wait_until(
    condition: Callable[[], bool],
    what: str = "the condition",
    *,
    seconds: float = 30.0,
    interval: float = 0.2,
    context: Callable[[], str] = lambda: "",
) -> None:
    """Return when `condition()` is true. Raises AssertionError, with the context, after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:g} s for: {what}\n{context()}"
        time.sleep(interval)
