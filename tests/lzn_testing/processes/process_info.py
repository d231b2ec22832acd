"""Read the command line and environment of processes; both are empty for processes of other users and ended ones."""

import psutil


def command_line(process: psutil.Process) -> list[str]:
    """Return the words of the command line."""
    try:
        return process.cmdline()
    except (psutil.Error, OSError):
        return []


def environment_variable(process: psutil.Process, name: str) -> str:
    """Return a variable of the environment, or an empty string."""
    try:
        return process.environ().get(name, "")
    except (psutil.Error, OSError):
        return ""
