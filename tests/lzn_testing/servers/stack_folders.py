"""Folders in which a stack can be started, and stacks in them."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.stack import Stack


@contextmanager
def stack_folder() -> Iterator[Path]:
    """A new folder that the user `postgres` can reach, unlike pytest's; what runs in it is ended with it."""
    folder = Path(tempfile.mkdtemp(prefix="lzn-stack-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        Stack(folder).down(report=lambda line: None)
        shutil.rmtree(folder)


@contextmanager
def started_stack(*, workers: int, repository: str | None = None) -> Iterator[Stack]:
    """PostgreSQL, S3, MLflow and Prefect, and workers if there are to be some; it takes half a minute."""
    with stack_folder() as folder:
        stack = Stack(folder)
        stack.up(workers=workers, repository=repository)
        yield stack
