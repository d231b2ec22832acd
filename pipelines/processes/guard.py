"""A process that outlives a flow which is killed outright, and ends what that flow left running."""

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
    """The guard did not start; without it a flow that is killed would leave its stages running."""


@contextmanager
def orphan_guard(tag_prefix: str, *, grace: float, keep_open: Sequence[int] = ()) -> Iterator[None]:
    """Watch this process while the body runs; if it is killed, end every process whose mark starts so.

    They get SIGTERM, SIGKILL after `grace` seconds, and so on until none is left. A body that ends, by an exception
    too, has ended its processes itself. The guard inherits the descriptors `keep_open`: locks which must not be
    free before the orphans are gone. Raises GuardError if it does not start.
    """
    if not tag_prefix:
        raise ValueError("tag_prefix is empty: it would match every process")
    guard = subprocess.Popen(
        [sys.executable, "-m", "pipelines.processes.guard", tag_prefix, str(grace)],
        cwd="/",  # it holds no folder that someone may want to remove or unmount
        env=_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,  # not the flow's, nor is stderr: whoever reads that waits for its end
        stderr=subprocess.DEVNULL,
        pass_fds=keep_open,
        start_new_session=True,
    )
    try:
        _wait_until_ready(guard)
        yield
    finally:
        with contextlib.suppress(BrokenPipeError):  # somebody ended the guard
            guard.communicate(_DONE)


def watch(tag_prefix: str, *, grace: float) -> None:
    """Wait for the end of standard input; without a farewell before it, end the processes of the mark."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    os.write(sys.stdout.fileno(), _READY)
    if os.read(sys.stdin.fileno(), len(_DONE)) == _DONE:
        return
    while end_orphans(tag_prefix, own=None, grace=grace):
        time.sleep(_PAUSE_SECONDS)  # again, for those that were being started, or need a moment to die


def _wait_until_ready(guard: "subprocess.Popen[bytes]") -> None:
    assert guard.stdout is not None
    if guard.stdout.read(len(_READY)) != _READY:
        raise GuardError(f"the process that watches over this flow did not start: exit code {guard.wait()}")


def _environment() -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if name != TAG_VARIABLE}
    paths = [str(_PROJECT), *filter(None, [environment.get("PYTHONPATH")])]
    return {**environment, "PYTHONPATH": os.pathsep.join(paths)}


if __name__ == "__main__":
    watch(sys.argv[1], grace=float(sys.argv[2]))
