"""The command of the local flow in a folder, and the questions of tests to its Prefect server."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from lzn_testing.servers.prefect_api import PrefectApi

PATIENCE = 240.0
"""Enough to start Python, Prefect and DVC on a busy machine; reached only if a process hangs."""


def start_flow(root: Path, environment: Mapping[str, str], *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "pipelines.local", *arguments],
        cwd=root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        # Tests that were started in the background ignore SIGINT, and child processes inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no threads here
    )


def run_flow(root: Path, environment: Mapping[str, str], *arguments: str, code: int = 0) -> str:
    with start_flow(root, environment, *arguments) as flow:
        output, _ = flow.communicate(timeout=PATIENCE)
    assert flow.returncode == code, output
    return output


def api_of(environment: Mapping[str, str]) -> PrefectApi:
    return PrefectApi(environment["PREFECT_API_URL"])


def eventually(check: Callable[[], None]) -> None:
    """Repeat a check until it passes: the server writes received events a moment later."""
    deadline = time.monotonic() + 15.0
    while time.monotonic() < deadline:
        try:
            return check()
        except AssertionError:
            time.sleep(0.2)
    check()
