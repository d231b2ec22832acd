"""Runs of the flow `hold` on a real Prefect server, and the processes behind them."""

import contextlib
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from infra.stack import marks
from lzn_testing.servers.prefect_api import PrefectApi

PATIENCE = 180.0
"""For what takes a minute at most on two idle cores; what nobody ends would go on for ten minutes."""


class HeldRun:
    """A run of `hold` whose stage is up."""

    def __init__(self, api: PrefectApi, folder: Path) -> None:
        self._api = api
        folder.mkdir()
        self.id = api.start("hold", folder=str(folder))
        self._folder = folder
        wait_until(lambda: len(self._lines("pids")) == 2)
        [self.flow] = map(int, self._lines("flow"))
        self.stage = [int(line) for line in self._lines("pids")]

    def _lines(self, name: str) -> list[str]:
        file = self._folder / name
        return file.read_text().split() if file.exists() else []

    def wait_until(self, state: str) -> None:
        wait_until(lambda: self._api.state_of(self.id)["type"] == state)

    def wait_until_nothing_runs(self) -> None:
        wait_until(lambda: not any(map(marks.is_alive, [self.flow, *self.stage])))


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def end_tree(pid: int) -> None:
    """SIGKILL to a process and all below it, those that have ended meanwhile left out."""
    with contextlib.suppress(psutil.NoSuchProcess):
        top = psutil.Process(pid)
        for process in [*top.children(recursive=True), top]:
            marks.send(process, signal.SIGKILL)
