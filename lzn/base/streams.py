"""Stdout and stderr that show every character, so that a computed answer is not lost when it is printed."""

import io
import os
import sys


def escape_other_characters() -> None:
    """Print what the terminal's encoding cannot show as escapes such as ``\\xb1``, here and in child processes.

    Names of files that are not UTF-8, or ``±`` on an ASCII terminal, would otherwise end the program.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    os.environ.setdefault("PYTHONIOENCODING", ":backslashreplace")
