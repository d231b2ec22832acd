"""Execute exactly one DVC stage in this workspace, as a process that can be watched and ended."""

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
    """Runs stages of the workspace in the current folder; safe to use from several threads at once."""

    def __init__(
        self, *, limits: Limits, stop: StopEvents, environment: Mapping[str, str] = os.environ
    ) -> None:
        self._limits = limits
        self._stop = stop
        self._environment = environment

    def run(self, stage: StageNode, log: Log) -> StageResult:
        """Let DVC bring one stage up to date, its dependencies being so already.

        `log` gets DVC's and the stage's output, line by line. Failure is a result, not an exception.
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
            reason = f"was ended after its timeout of {self._limits.timeout:g} s"
        else:
            reason = f"failed with exit code {ended.returncode}"
        last_lines = "\n".join(f"    {line}" for line in ended.tail)
        error = f"Stage {name!r} {reason}. Last lines of its output:\n{last_lines}"
        return StageResult(name=name, outcome=Outcome.FAILED, seconds=seconds, error=error)


def dvc_command(stage_name: str) -> list[str]:
    """The command that reproduces this stage and no other.

    DVC frees the repository's lock while a stage's own command runs, so stages overlap; `--wait-for-lock`
    makes the parts that do hold it (reading dvc.yaml, hashing outputs, writing dvc.lock) queue, not fail.
    """
    return [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", "--single-item", stage_name]


def stage_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """A stage's environment: `python` is this interpreter, output is not held back, DVC starts no daemons."""
    interpreter_folder = str(Path(sys.executable).parent)
    return {
        "PYTHONUNBUFFERED": "1",
        **environment,
        "PATH": os.pathsep.join([interpreter_folder, environment.get("PATH", os.defpath)]),
        "DVC_NO_ANALYTICS": "1",
        "DVC_DAEMON": "1",  # DVC's own guard against starting its background update check
    }
