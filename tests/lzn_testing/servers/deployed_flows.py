"""A flow for deployments in tests: a stage with a stubborn process tree, run as the project's own flows run stages."""

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

# The stage, and a grandchild in a session of its own that ignores SIGTERM. Each prints its process id at once.
TREE = """
import os, subprocess, sys, time
sleeper = "import os, time; os.write(1, f'{os.getpid()}{os.linesep}'.encode()); time.sleep(600)"
stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + sleeper
subprocess.Popen([sys.executable, "-c", stubborn], start_new_session=True)
exec(sleeper)
"""


@flow(name="hold", persist_result=False)
def hold(folder: str) -> State[Any]:
    """Run the stage until it is stopped, or for ten minutes; `flow` and `pids` in the folder say who runs."""
    pids = Path(folder) / "pids"
    (Path(folder) / "flow").write_text(str(os.getpid()))

    def note(line: str) -> None:
        with pids.open("a") as file:
            file.write(f"{line}\n")

    with stop_on_signals() as stop, orphan_guard(f"{folder}::", grace=1.0):
        ended = run_streamed(
            [sys.executable, "-uc", TREE],
            owner=f"{folder}::stage",
            environment=os.environ,
            limits=Limits(timeout=600.0, grace=2.0),
            stop=stop,
            relay=note,
        )
        return Cancelled() if ended.ending is Ending.STOPPED else Completed()
