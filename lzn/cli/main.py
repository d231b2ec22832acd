"""Exit codes of ``lzn``: 0 done, 1 a user's error, 2 wrong usage, 130 Ctrl-C. Errors come without traceback."""

import json
import os
import signal
import sys
from collections.abc import Sequence

import typer

from lzn.base.sections import ParamsError
from lzn.cli.app import add_commands_of_other_packages, app
from lzn.inference.errors import UserError

USER_ERROR = 1
INTERRUPTED = 130


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit code."""
    as_json = "--json" in arguments
    add_commands_of_other_packages()
    try:
        code = app(args=list(arguments), prog_name="lzn", standalone_mode=False)
    except typer.TyperException as error:
        if not error.format_message():  # help was shown, for want of a command
            return error.exit_code
        return _fail(
            error.format_message() + _hint(error), kind="usage", code=error.exit_code, as_json=as_json
        )
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter flushes at its end
        return USER_ERROR
    except (UserError, ParamsError, OSError) as error:
        return _fail(str(error), kind="user", code=USER_ERROR, as_json=as_json)
    if code == INTERRUPTED:
        return _fail("interrupted", kind="interrupted", code=INTERRUPTED, as_json=as_json)
    return code if isinstance(code, int) else 0


def run() -> None:
    """Entry point.

    An interrupted command ends by the signal itself, which shells show as 130 and by which a script around it stops
    too. It does not leave that to the interpreter, which exits by number or by signal depending on what was imported
    when Ctrl-C came.
    """
    code = main(sys.argv[1:])
    if code == INTERRUPTED:
        sys.stdout.flush()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.raise_signal(signal.SIGINT)
    sys.exit(code)


def _hint(error: typer.TyperException) -> str:
    context = getattr(error, "ctx", None)
    return "" if context is None else f" (see {context.command_path} --help)"


def _fail(message: str, *, kind: str, code: int, as_json: bool) -> int:
    content = {"error": {"kind": kind, "message": message}}
    print(json.dumps(content) if as_json else f"lzn: {message}", file=sys.stderr)
    return code
