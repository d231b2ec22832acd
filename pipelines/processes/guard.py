"""A process that ends the stages of a flow after the flow was killed."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pipelines.processes.commands import TAG_VARIABLE, end_orphans
from pipelines.processes.signals import STOP_SIGNALS

_READY: Final = b"!"
_DONE: Final = b"."
_PROJECT: Final = Path(__file__).resolve().parents[2]
_PAUSE_SECONDS: Final = 0.2


class GuardError(RuntimeError):
    """The guard did not start."""


@contextmanager
def orphan_guard(tag_prefix: str, *, grace: float, keep_open: Sequence[int] = ()) -> Iterator[None]:
    """Start a guard of this process. If this process is killed in the block, the guard ends the tagged processes.

    It sends SIGTERM to processes whose tag starts with `tag_prefix`, SIGKILL after `grace` seconds, and repeats this
    until none is left. After a block that ends, also by an exception, the guard ends no process. It inherits the
    descriptors `keep_open`, so that locks are held until the processes have ended.

    Raises:
        ValueError: the prefix is empty.
        GuardError: the guard does not start.
    """
    if not tag_prefix:
        raise ValueError("tag_prefix is empty: it would match every process")
    guard = subprocess.Popen(
        [sys.executable, "-m", "pipelines.processes.guard", tag_prefix, str(grace)],
        cwd="/",  # so that no folder is in use that may be removed or unmounted
        env=_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,  # not the flow's stdout: its reader would wait for the guard to end
        stderr=subprocess.DEVNULL,
        pass_fds=keep_open,
        start_new_session=True,
    )
    try:
        _wait_until_ready(guard)
        yield
    finally:
        with contextlib.suppress(BrokenPipeError):  # the guard was killed
            guard.communicate(_DONE)


def watch(tag_prefix: str, *, grace: float) -> None:
    """Wait for the end of standard input. If no `_DONE` came before it, end the tagged processes."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    os.write(sys.stdout.fileno(), _READY)
    if os.read(sys.stdin.fileno(), len(_DONE)) == _DONE:
        return
    while end_orphans(tag_prefix, own=None, grace=grace):
        time.sleep(_PAUSE_SECONDS)  # repeat for processes that were just starting or are still ending


def _wait_until_ready(guard: "subprocess.Popen[bytes]") -> None:
    assert guard.stdout is not None
    if guard.stdout.read(len(_READY)) != _READY:
        raise GuardError(f"the guard process of this flow did not start: exit code {guard.wait()}")


def _environment() -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if name != TAG_VARIABLE}
    paths = [str(_PROJECT), *filter(None, [environment.get("PYTHONPATH")])]
    return {**environment, "PYTHONPATH": os.pathsep.join(paths)}


if __name__ == "__main__":
    watch(sys.argv[1], grace=float(sys.argv[2]))
