"""Run one DVC stage of the project in the current folder as a child process."""

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from pipelines.dag import StageNode
from pipelines.processes.commands import CommandResult, Ending, Limits, Log, run_streamed
from pipelines.processes.exclusive_project import process_tag
from pipelines.processes.signals import StopEvents
from pipelines.schedule import Outcome, StageResult


class StageRunner:
    """Run stages of the project in the current folder. Several threads may use it at once."""

    def __init__(
        self, *, limits: Limits, stop: StopEvents, environment: Mapping[str, str] = os.environ
    ) -> None:
        self._limits = limits
        self._stop = stop
        self._environment = environment

    def run(self, stage: StageNode, log: Log) -> StageResult:
        """Let DVC bring one stage up to date, whose dependencies are up to date. Return how it ended.

        `log` gets the output of DVC and the stage, line by line. A failure is a result, not an exception.
        """
        if not stage.needs_check:
            log("up to date")
            return StageResult(name=stage.name, outcome=Outcome.UP_TO_DATE)
        start = time.monotonic()
        ended = run_streamed(
            dvc_command(stage.name),
            tag=process_tag(stage.name),
            environment=stage_environment(self._environment),
            limits=self._limits,
            stop=self._stop,
            log=log,
        )
        return self._result(stage.name, ended, time.monotonic() - start)

    def _result(self, name: str, ended: CommandResult, seconds: float) -> StageResult:
        if ended.returncode == 0:
            return StageResult(name=name, outcome=Outcome.DONE, seconds=seconds)
        if ended.ending is Ending.STOPPED:
            return StageResult(name=name, outcome=Outcome.STOPPED, seconds=seconds, error="was stopped")
        if ended.ending is Ending.TIMEOUT:
            reason = f"was stopped after its timeout of {self._limits.timeout:g} s"
        else:
            reason = f"failed with exit code {ended.returncode}"
        last_lines = "\n".join(f"    {line}" for line in ended.tail)
        error = f"Stage {name!r} {reason}. Last lines of its output:\n{last_lines}"
        return StageResult(name=name, outcome=Outcome.FAILED, seconds=seconds, error=error)


def dvc_command(stage_name: str) -> list[str]:
    """Return the command that runs this stage and no other.

    DVC releases the repository's lock while a stage's command runs, so stages run in parallel. With
    `--wait-for-lock`, the other steps (reading dvc.yaml, hashing outputs, writing dvc.lock) wait for the lock.
    """
    return [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", "--single-item", stage_name]


def stage_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a stage: `python` is this interpreter, unbuffered, and DVC starts no daemon.

    Progress bars, which stages show only on terminals, are written to the pipe every five seconds.
    """
    interpreter_folder = str(Path(sys.executable).parent)
    return {
        "PYTHONUNBUFFERED": "1",
        "LZN_PROGRESS_BARS": "1",  # see stages.runtime.progress_bars
        "TQDM_MININTERVAL": "5",
        **environment,
        "PATH": os.pathsep.join([interpreter_folder, environment.get("PATH", os.defpath)]),
        "DVC_NO_ANALYTICS": "1",
        "DVC_DAEMON": "1",  # DVC sets it in its daemons; it prevents the background update check
    }
