"""A flow for deployments in tests. Its stage, run as in the project's flows, has a child that ignores SIGTERM."""

import os
import sys
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.client.schemas import State
from prefect.states import Cancelled, Completed

from pipelines.processes.commands import Ending, Limits, run_streamed
from pipelines.processes.guard import orphan_guard
from pipelines.processes.signals import stop_on_signals

# The stage, and its child in another session that ignores SIGTERM. Each prints its process id.
TREE = """
import os, subprocess, sys, time
sleeper = "import os, time; os.write(1, f'{os.getpid()}{os.linesep}'.encode()); time.sleep(600)"
stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + sleeper
subprocess.Popen([sys.executable, "-c", stubborn], start_new_session=True)
exec(sleeper)
"""


@flow(name="hold", persist_result=False)
def hold(folder: str) -> State[Any]:
    """Run the stage until it is stopped, for ten minutes at most. Process ids are in the files `flow` and `pids`."""
    pids = Path(folder) / "pids"
    (Path(folder) / "flow").write_text(str(os.getpid()))

    def write_pid(line: str) -> None:
        with pids.open("a") as file:
            file.write(f"{line}\n")

    with stop_on_signals() as stop, orphan_guard(f"{folder}::", grace=1.0):
        ended = run_streamed(
            [sys.executable, "-uc", TREE],
            tag=f"{folder}::stage",
            environment=os.environ,
            limits=Limits(timeout=600.0, grace=2.0),
            stop=stop,
            log=write_pid,
        )
        return Cancelled() if ended.ending is Ending.STOPPED else Completed()
