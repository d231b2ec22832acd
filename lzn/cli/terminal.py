"""Output of commands: the result as text or JSON on stdout, everything else on stderr."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout


def print_result(text: str, payload: object, *, as_json: bool) -> None:
    """Print a command's result on stdout: ``payload`` as JSON, or ``text``."""
    print(json.dumps(payload, indent=2) if as_json else text)


@contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """Send what libraries print to stderr, so that stdout holds only the result."""
    with redirect_stdout(sys.stderr):
        yield


@contextmanager
def progress_bar(name: str, total: int) -> Iterator[Callable[[int], object]]:
    """Show a bar on stderr if stderr is a terminal; yield the function that takes the number of finished images."""
    from tqdm import tqdm  # noqa: PLC0415 - commands without a bar start faster

    with tqdm(total=total, desc=name, unit="image", disable=None, leave=False) as bar:
        yield bar.update
