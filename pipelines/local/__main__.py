"""Bring the project up to date as `dvc repro` does, with stages in parallel and their logs in Prefect's UI.

    python -m pipelines.local [--targets train measure@rf ...] [--max-parallel 2] [--timeout SECONDS] [--dry-run]

Exit code: 0 if everything is up to date, 1 after an error, 128 + n if signal n stopped it.
"""

import argparse
import signal
import sys
from collections.abc import Sequence

from dvc.exceptions import DvcException

from lzn.base.streams import escape_other_characters
from pipelines.dag import DEFAULT_TARGETS, read_dag
from pipelines.local import prefect_server
from pipelines.processes.exclusive_project import ProjectBusyError, exclusive_project, process_tag
from pipelines.processes.signals import exit_cleanly_on_signals
from pipelines.sizes import NO_GIT, lacks_git


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the flow from the command line. Return the exit code.

    If DVC reports no change, Prefect's server, which takes seconds to start, is not started.
    """
    escape_other_characters()
    options = parse_arguments(arguments)
    exit_cleanly_on_signals()
    if lacks_git():
        print(f"error: {NO_GIT}", file=sys.stderr)
        return 1
    try:
        if options.dry_run:
            dry_run(options.targets)
            return 0
        with exclusive_project():
            stages = read_dag(options.targets)
            if not any(stage.needs_check for stage in stages):
                print(f"Up to date, nothing to run: {len(stages)} stages.")
                return 0
            return run_flow(options)
    except (DvcException, ProjectBusyError, prefect_server.PrefectServerError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def dry_run(targets: Sequence[str]) -> None:
    """List which stages a flow would run: in the log of a flow run, with an artifact, or printed without a server."""
    prefect_server.set_defaults()
    from pipelines.local.flows import preview_of, reproduce_locally  # noqa: PLC0415 - after set_defaults

    try:
        if prefect_server.configured_server():
            reproduce_locally(targets, dry_run=True)
            return
    except prefect_server.PrefectServerError as error:
        print(f"{error}; it gets no artifact.", file=sys.stderr)
    print(preview_of(read_dag(targets)))


def run_flow(options: argparse.Namespace) -> int:
    """Run the flow on the configured Prefect server, or on a temporary one."""
    prefect_server.set_defaults()
    print("Starting the flow ...", flush=True)
    server = prefect_server.connect(tag=process_tag("prefect server"))
    from pipelines.local.flows import reproduce_locally  # noqa: PLC0415 - after set_defaults

    print(f"Watch it at {server.ui_url}", flush=True)
    state = reproduce_locally(
        options.targets, options.max_parallel, options.timeout, options.grace, return_state=True
    )
    if server.temporary:
        print("To see this run again: `prefect server start`, then http://127.0.0.1:4200/runs", flush=True)
    return 0 if state.is_completed() else 1


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line. Invalid numbers end the program with a usage message."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.local", description=__doc__)
    parser.add_argument("--dry-run", action="store_true", help="list the stages to run, and start none")
    parser.add_argument("--targets", nargs="+", default=list(DEFAULT_TARGETS), help="as for `dvc repro`")
    parser.add_argument("--max-parallel", type=int, default=2, help="stages that run at a time (default: 2)")
    parser.add_argument("--timeout", type=float, default=86400.0, help="seconds per stage (default: a day)")
    parser.add_argument(
        "--grace",
        type=float,
        default=30.0,
        help="seconds for a stage to save its work before it is killed (default: 30)",
    )
    options = parser.parse_args(arguments)
    if options.max_parallel < 1 or options.timeout <= 0 or options.grace < 0:
        parser.error("--max-parallel must be at least 1, --timeout positive and --grace not negative")
    return options


if __name__ == "__main__":
    sys.exit(main())
