"""A lock on work that several processes may start together, such as two experiments that train the same run."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

POLL_SECONDS = 0.5


@contextmanager
def exclusive_work(lock_file: Path, name: str) -> Iterator[None]:
    """Hold a lock inside the block. While another process holds it, wait, and say so once; ``name`` is the work."""
    lock_file.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(lock_file, mode=0o666)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"{name}: another process does the same work; waiting for it", file=sys.stderr, flush=True)
        lock.acquire(poll_interval=POLL_SECONDS)
    try:
        yield
    finally:
        lock.release()
