"""Run a command in a session of its own, hand on its output line by line, leave no process of it behind."""

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
from pipelines.processes.signals import StopEvents

TAG_VARIABLE: Final = "LZN_STAGE_PROCESS"
TAIL_LINES: Final = 20
_POLL_SECONDS: Final = 0.1
_KILL_SECONDS: Final = 5.0

Log = Callable[[str], None]


class Ending(Enum):
    """Why a command ended."""

    BY_ITSELF = "by itself"
    TIMEOUT = "timeout"
    STOPPED = "stopped"


@dataclass(frozen=True)
class CommandResult:
    """returncode: the command's (negative: killed by that signal); tail: the last lines of its output."""

    returncode: int
    ending: Ending
    tail: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class Limits:
    """timeout: seconds a command may take; grace: seconds that its processes have to end after SIGTERM."""

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
    """Run `command` until it ends, its time is over or a stop is requested, with stderr joined to stdout.

    When it returns, every process that the command started has ended, background ones too: they are found by
    their session and by the `tag` tag in their environment, so that neither a process group of their own
    (`set -m`), a new session (`setsid`) nor a double fork hides them. They get SIGTERM first, and SIGKILL
    after the grace period or, if the stop is forced, at once.

    The command itself is spared the SIGTERM: `dvc` then sees its stage fail, releases its locks and never
    leaves a half-written dvc.lock. If it outlives the grace period it is killed with the rest.
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
    with process, LineReader(process.stdout, (tail.append, log)) as output:
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
    """End processes whose tag starts with `workspace` but not with `own`, if any; return how many there were.

    They were left by a flow that was killed outright (SIGKILL, out of memory) and could not end them itself.
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
    """Ask all that belongs to the command to end; its output is still read, or a full pipe would block it."""
    deadline = time.monotonic() + grace
    told: set[psutil.Process] = set()
    while time.monotonic() < deadline and not stop.forced.is_set():
        members = _members(process, tag)
        if not members:
            return
        for member in members - told:
            if member.pid != process.pid:
                _signal(member, signal.SIGTERM)
        told |= members
        output.read(_POLL_SECONDS)


def _kill(process: "subprocess.Popen[bytes]", tag: str) -> None:
    """SIGKILL until nothing is left; a process stuck in the kernel is given up after a few seconds."""
    deadline = time.monotonic() + _KILL_SECONDS
    while (members := _members(process, tag)) and time.monotonic() < deadline:
        for member in members:
            _signal(member, signal.SIGKILL)
        time.sleep(_POLL_SECONDS / 2)


def _members(process: "subprocess.Popen[bytes]", tag: str) -> set[psutil.Process]:
    process.poll()  # reaps the command, whose zombie would count as alive
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
    """The tag in a process's environment; empty for other people's, kernel and vanished processes."""
    try:
        tag: str = process.environ().get(TAG_VARIABLE, "")
    except (psutil.Error, OSError):
        return ""
    return tag


def _is_zombie(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):  # it ended by itself
        process.send_signal(number)
