"""Run a command in its own session, log its output line by line, and end all processes that it started."""

import contextlib
import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

import psutil

from pipelines.processes.line_reader import LineReader
from pipelines.processes.progress_lines import is_bar
from pipelines.processes.signals import StopEvents

TAG_VARIABLE: Final = "LZN_STAGE_PROCESS"
"""Environment variable with the process tag, which child processes inherit."""
TAIL_LINES: Final = 20
_POLL_SECONDS: Final = 0.1
_KILL_SECONDS: Final = 5.0

Log = Callable[[str], None]
"""A function that logs one line."""


class Ending(Enum):
    """Why a command ended."""

    BY_ITSELF = "by itself"
    TIMEOUT = "timeout"
    STOPPED = "stopped"


@dataclass(frozen=True)
class CommandResult:
    """The result of a command.

    Attributes:
        returncode: the exit code; -n if signal n killed the command.
        ending: why the command ended.
        tail: the last lines of its output, without progress bars.
        seconds: the wall time.
    """

    returncode: int
    ending: Ending
    tail: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class Limits:
    """Time limits of a command.

    Attributes:
        timeout: seconds that the command may run.
        grace: seconds between SIGTERM and SIGKILL.
    """

    timeout: float
    grace: float


def run_streamed(
    command: Sequence[str],
    *,
    tag: str,
    environment: Mapping[str, str],
    limits: Limits,
    stop: StopEvents,
    log: Log,
) -> CommandResult:
    """Run `command` until it ends, reaches its timeout or a stop is requested. Its stderr is merged into stdout.

    On return, all processes that the command started have ended. They are found by their session and by the
    process tag in their environment: a new process group (`set -m`), a new session (`setsid`) and a double fork
    are covered. They get SIGTERM, and SIGKILL after the grace period, or at once if the stop is forced.

    The command itself gets no SIGTERM. `dvc` then sees that its stage failed, releases its locks and writes
    dvc.lock completely. After the grace period it is killed as well.
    """
    start = time.monotonic()
    process = subprocess.Popen(
        command,
        env={**environment, TAG_VARIABLE: tag},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    tail: deque[str] = deque(maxlen=TAIL_LINES)

    def keep(line: str) -> None:
        if not is_bar(line):
            tail.append(line)

    with process, LineReader(process.stdout, (keep, log)) as output:
        try:
            ending = _supervise(process, output, deadline=start + limits.timeout, stop=stop)
        finally:
            try:
                _end_session(process, tag, output, grace=limits.grace, stop=stop)
            finally:
                _kill(process, tag)
        output.drain()
    return CommandResult(process.returncode, ending, tuple(tail), time.monotonic() - start)


def end_orphans(prefix: str, *, own: str | None, grace: float) -> int:
    """End the processes whose tag starts with `prefix` and not with `own`. Return how many there were.

    They remain if a flow was killed by SIGKILL, for example when memory ran out.
    """
    orphans = [
        process
        for process in psutil.process_iter()
        if (tag := _tag_of(process)).startswith(prefix) and (own is None or not tag.startswith(own))
    ]
    for process in orphans:
        _signal(process, signal.SIGTERM)
    _, alive = psutil.wait_procs(orphans, timeout=grace)
    for process in alive:
        _signal(process, signal.SIGKILL)
    return len(orphans)


def _supervise(
    process: "subprocess.Popen[bytes]", output: LineReader, *, deadline: float, stop: StopEvents
) -> Ending:
    while process.poll() is None:
        output.read(_POLL_SECONDS)
        if stop.requested.is_set():
            return Ending.STOPPED
        if time.monotonic() > deadline:
            return Ending.TIMEOUT
    return Ending.BY_ITSELF


def _end_session(
    process: "subprocess.Popen[bytes]", tag: str, output: LineReader, *, grace: float, stop: StopEvents
) -> None:
    """Send SIGTERM to the command's other processes and wait. Output is still read: a full pipe would block them."""
    deadline = time.monotonic() + grace
    signalled: set[psutil.Process] = set()
    while time.monotonic() < deadline and not stop.forced.is_set():
        members = _members(process, tag)
        if not members:
            return
        for member in members - signalled:
            if member.pid != process.pid:
                _signal(member, signal.SIGTERM)
        signalled |= members
        output.read(_POLL_SECONDS)


def _kill(process: "subprocess.Popen[bytes]", tag: str) -> None:
    """Send SIGKILL until no process is left, for 5 s at most: a process may hang in the kernel."""
    deadline = time.monotonic() + _KILL_SECONDS
    while (members := _members(process, tag)) and time.monotonic() < deadline:
        for member in members:
            _signal(member, signal.SIGKILL)
        time.sleep(_POLL_SECONDS / 2)


def _members(process: "subprocess.Popen[bytes]", tag: str) -> set[psutil.Process]:
    process.poll()  # reaps the command: its zombie would count as alive
    return {
        member
        for member in psutil.process_iter()
        if _session(member.pid) == process.pid or _tag_of(member) == tag
        if not _is_zombie(member)
    }


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except (ProcessLookupError, PermissionError):
        return None


def _tag_of(process: psutil.Process) -> str:
    """Return the process tag. It is empty for processes of other users or the kernel, and for ended ones."""
    try:
        return str(process.environ().get(TAG_VARIABLE, ""))
    except (psutil.Error, OSError):
        return ""


def _is_zombie(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):  # it has ended
        process.send_signal(number)
