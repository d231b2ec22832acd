"""A file lock that allows one supervisor for a folder."""

import fcntl
from typing import IO, Final

from infra.stack.layout import Layout, open_private

ALREADY_RUNS: Final = 3
"""The exit code of a supervisor if another one runs."""


def acquire_lock(layout: Layout) -> "IO[bytes] | None":
    """Lock the stack until the file is closed in this process and its forks. Return None if it is locked."""
    file = open_private(layout.lock)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file
