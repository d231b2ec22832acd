"""Files that take seconds to make, made once for all processes of a test run."""

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

_VARIABLE = "LZN_TEST_FILES"


def open_shared_folder() -> None:
    """Make the folder of these files. The first process of a test run calls this; the others inherit the variable."""
    os.environ[_VARIABLE] = tempfile.mkdtemp(prefix="lzn-tests-")


def remove_shared_folder() -> None:
    """Remove the folder at the end of the test run."""
    shutil.rmtree(os.environ.pop(_VARIABLE))


def made_once(name: str, make: Callable[[Path], None]) -> Path:
    """Return the folder ``name`` that ``make`` has filled. Tests copy the files: they do not change them there."""
    folder = Path(os.environ[_VARIABLE]) / name
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            unfinished = folder.with_name(f"{name}.unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            make(unfinished)
            unfinished.rename(folder)
    return folder
