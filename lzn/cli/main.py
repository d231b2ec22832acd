"""Entry point and exit codes: 0 success, 1 user error, 2 wrong usage, 130 Ctrl-C. Errors have no traceback."""

import json
import os
import signal
import sys
from collections.abc import Sequence

import typer

from lzn.base.sections import ParamsError
from lzn.base.streams import escape_other_characters
from lzn.cli.app import add_commands_of_other_packages, app
from lzn.inference.errors import UserError

USER_ERROR = 1
INTERRUPTED = 130


def main(arguments: Sequence[str]) -> int:
    """Run one command and return the exit code."""
    escape_other_characters()
    as_json = "--json" in arguments
    add_commands_of_other_packages()
    try:
        code = app(args=list(arguments), prog_name="lzn", standalone_mode=False)
    except typer.TyperException as error:
        if not error.format_message():  # no command was given, and typer has printed the help
            return error.exit_code
        return _fail(
            error.format_message() + _hint(error), kind="usage", code=error.exit_code, as_json=as_json
        )
    except BrokenPipeError:
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # the interpreter flushes stdout when it exits
        return USER_ERROR
    except (UserError, ParamsError, OSError) as error:
        return _fail(str(error), kind="user", code=USER_ERROR, as_json=as_json)
    if code == INTERRUPTED:
        return _fail("interrupted", kind="interrupted", code=INTERRUPTED, as_json=as_json)
    return code if isinstance(code, int) else 0


def run() -> None:
    """Run the command of ``sys.argv`` and exit.

    An interrupted command ends by SIGINT itself: shells then show 130 and also stop the script that called it. The
    interpreter does not ensure this: it exits by code or by signal, depending on the modules imported at Ctrl-C.
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
