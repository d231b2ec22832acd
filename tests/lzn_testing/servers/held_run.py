"""Runs of the flow `hold` on a real Prefect server, and their processes."""

import contextlib
import functools
import signal
from pathlib import Path

import psutil

from infra.processes import is_alive, send_signal
from lzn_testing.processes import waiting
from lzn_testing.servers.prefect_api import PrefectApi

PATIENCE_SECONDS = 180.0
"""Three times what is needed on two idle cores; a run that is not stopped lasts ten minutes."""

wait_until = functools.partial(waiting.wait_until, seconds=PATIENCE_SECONDS)


class HeldRun:
    """A run of `hold` whose stage has started."""

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

    def wait_for_state(self, state: str) -> None:
        wait_until(lambda: self._api.state_of(self.id)["type"] == state)

    def wait_until_nothing_runs(self) -> None:
        wait_until(lambda: not any(map(is_alive, [self.flow, *self.stage])))


def kill_tree(pid: int) -> None:
    """Kill a process and all of its descendants."""
    with contextlib.suppress(psutil.NoSuchProcess):
        top = psutil.Process(pid)
        for process in [*top.children(recursive=True), top]:
            send_signal(process, signal.SIGKILL)
