"""One supervisor a folder."""

import fcntl
from typing import IO, Final

from infra.stack.layout import Layout, open_private

ALREADY_RUNS: Final = 3  # the exit code of a supervisor that found another


def lock(layout: Layout) -> "IO[bytes] | None":
    """The stack's lock, held until the file is closed here and in every fork; None if another has it."""
    file = open_private(layout.lock)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file
