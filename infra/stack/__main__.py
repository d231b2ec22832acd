"""`python -m infra.stack`: the team's servers on this machine, without containers."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from infra.stack.errors import StackError
from infra.stack.layout import DEFAULT_FOLDER
from infra.stack.stack import Health, Stack


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Return 1 if it fails, with a message on stderr."""
    options = _parser().parse_args(arguments)
    stack = Stack(options.folder)
    try:
        return _run_command(stack, options)
    except StackError as error:
        print(f"stack: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("stack: interrupted; nothing was left running", file=sys.stderr)
    return 1


def _run_command(stack: Stack, options: argparse.Namespace) -> int:
    match options.command:
        case "up":
            stack.up(
                workers=options.workers,
                gpus=options.gpus,
                repository=options.repository,
                branches=options.branches,
            )
            print(stack.addresses())
        case "down":
            stack.down()
        case "destroy":
            stack.destroy()
        case "status":
            return _print_status(stack)
        case "run":
            return _exec_with_variables(stack, options.words)
    return 0


def _print_status(stack: Stack) -> int:
    health = stack.health()
    if not health:
        print(f"The stack in {stack.layout.root} is down.")
        return 1
    for each in health:
        print(_line(each))
    print(stack.addresses())
    return 0 if all(each.is_healthy for each in health) else 1


def _line(health: Health) -> str:
    status = health.status
    state = "healthy" if health.is_healthy else ("not answering" if status.state == "ready" else status.state)
    pid = f"process {status.pid}" if status.pid else ""
    restarts = f"{status.starts - 1} restarts" if status.starts > 1 else ""
    reason = "" if health.is_healthy else status.message.splitlines()[:1]
    return f"{status.name:<15} {state:<13} {pid:<15} {restarts:<12}{''.join(reason)}".rstrip()


def _exec_with_variables(stack: Stack, words: Sequence[str]) -> int:
    """Replace this program by a command, so that signals and the exit code are the command's."""
    command = words[1:] if words[:1] == ["--"] else words
    if not command:
        raise StackError("the command is missing: run -- COMMAND")
    try:
        os.execvpe(command[0], list(command), {**os.environ, **stack.environment()})
    except OSError as error:
        raise StackError(f"{command[0]}: {error.strerror}") from None


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--folder", type=Path, default=DEFAULT_FOLDER, help="folder of all state (default: .stack)"
    )
    parser = argparse.ArgumentParser(prog="python -m infra.stack", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", parents=[common], help="start all services, and return when each is ready")
    up.add_argument(
        "--workers", type=_count, default=1, help="CPU stages that run at a time on this machine (default: 1)"
    )
    up.add_argument(
        "--no-workers", dest="workers", action="store_const", const=0, help="start the servers only"
    )
    up.add_argument(
        "--repository", help="git URL or folder whose commits the workers run (default: this project)"
    )
    up.add_argument(
        "--branches",
        help="branches, with spaces, whose commits the workers run (default: LZN_BRANCHES or main)",
    )
    up.add_argument(
        "--gpus", type=_count, default=None, help="GPUs of the whole cluster (default: LZN_GPUS or 0)"
    )
    commands.add_parser("down", parents=[common], help="stop all, and return when no process is left")
    commands.add_parser(
        "status", parents=[common], help="check every service; exit code 1 if one is not healthy"
    )
    commands.add_parser("destroy", parents=[common], help="stop all and remove the folder with its contents")
    run = commands.add_parser("run", parents=[common], help="run a command with the clients' variables")
    run.add_argument("words", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    return parser


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ValueError
    return number


if __name__ == "__main__":
    sys.exit(main())
