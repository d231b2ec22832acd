"""Start a stack in a temporary folder."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.stack import Stack


@contextmanager
def stack_folder() -> Iterator[Path]:
    """Make a folder that the user `postgres` can reach, unlike pytest's; stop the stack in it at the end."""
    folder = Path(tempfile.mkdtemp(prefix="lzn-stack-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        Stack(folder).down(report=lambda line: None)
        shutil.rmtree(folder)


@contextmanager
def started_stack(
    *, workers: int, repository: str | None = None, branches: str | None = None
) -> Iterator[Stack]:
    """Start PostgreSQL, S3, MLflow, Prefect and the workers; it takes half a minute."""
    with stack_folder() as folder:
        stack = Stack(folder)
        stack.up(workers=workers, repository=repository, branches=branches)
        yield stack
