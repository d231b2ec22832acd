"""The partial report while a flow runs: a process of its own writes it after stages, and the last one at the end."""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Self

from pipelines.processes.commands import Log
from pipelines.schedule import Outcome, StageResult
from pipelines.sizes import PARAMS_FILE

COMMAND: Final = (sys.executable, "-m", "pipelines.partial_report")
EVERY_SECONDS: Final = 600.0
"""Short stages follow each other faster than a report is written, which takes seconds of a core."""
END_SECONDS: Final = 120.0
"""How long the end of a flow waits for a report."""


class PartialReports:
    """Writes partial reports during a ``with`` block; one at a time, at most one in `EVERY_SECONDS`.

    A report that cannot be written is logged; no stage fails because of it. Without params.yaml there is none.
    """

    def __init__(
        self,
        log: Log,
        *,
        command: Sequence[str] = COMMAND,
        every_seconds: float = EVERY_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log, self._command, self._clock = log, command, clock
        self._every_seconds = every_seconds
        self._started_at = clock()
        self._process: subprocess.Popen[str] | None = None
        self._is_outdated = False
        self._is_stopped = False

    def __enter__(self) -> Self:
        return self

    def after_stage(self, result: StageResult) -> None:
        """Start a report if the stage has new results and the last report is old enough."""
        self._is_stopped |= result.outcome is Outcome.STOPPED
        if result.outcome is not Outcome.DONE:
            return
        family = result.name.rpartition(":")[2].partition("@")[0]
        self._is_outdated = family not in ("tables", "report", "results")
        is_running = self._process is not None and self._process.poll() is None
        if not is_running and self._clock() - self._started_at >= self._every_seconds:
            self._start()

    def __exit__(self, error_type: type[BaseException] | None, *_: object) -> None:
        """Write a last report if the stage ``report`` has not run after the last measurement.

        A flow that is stopped does not wait for a report.
        """
        if error_type is not None or self._is_stopped:
            if self._process is not None:
                self._process.kill()
                self._process.communicate()
            return
        self._end()
        if self._is_outdated:
            self._start()
            self._end()

    def _start(self) -> None:
        self._end()
        if not Path(PARAMS_FILE).exists():
            return
        self._started_at, self._is_outdated = self._clock(), False
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def _end(self) -> None:
        """Wait for the process, and log its error."""
        process, self._process = self._process, None
        if process is None:
            return
        try:
            _, errors = process.communicate(timeout=END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            _, errors = process.communicate()
        if process.returncode != 0:
            last = (errors or "").strip().splitlines()[-1:] or [f"exit code {process.returncode}"]
            self._log(f"The partial report was not written: {last[0]}")
