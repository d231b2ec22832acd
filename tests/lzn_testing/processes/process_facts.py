"""What processes show of themselves; one that has ended meanwhile, or is somebody else's, shows nothing."""

import psutil


def words_of(process: psutil.Process) -> list[str]:
    """Its command line."""
    try:
        return process.cmdline()
    except (psutil.Error, OSError):
        return []


def variable_of(process: psutil.Process, name: str) -> str:
    """A variable of its environment, or an empty string."""
    try:
        return process.environ().get(name, "")
    except (psutil.Error, OSError):
        return ""
