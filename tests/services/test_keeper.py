"""What keeps a service running, tried on small programs in place of servers."""

import itertools
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from infra.stack import marks
from infra.stack.board import Board
from infra.stack.keeper import Keeper
from infra.stack.layout import Layout
from infra.stack.service import Service

pytestmark = pytest.mark.services

SLEEP = shutil.which("sleep") or "sleep"
SAVES_SLOWLY = """
import pathlib, signal, time
def save(number, frame):
    time.sleep(1.0)
    pathlib.Path("order").open("a").write("child saved\\n")
    raise SystemExit
signal.signal(signal.SIGTERM, save)
pathlib.Path("up").touch()
time.sleep(60)
"""
WITH_CHILD = f"""
import pathlib, signal, subprocess, sys, time
def end(number, frame):
    pathlib.Path("order").open("a").write("parent ended\\n")
    raise SystemExit
signal.signal(signal.SIGTERM, end)
child = subprocess.Popen([sys.executable, "-c", {SAVES_SLOWLY!r}], start_new_session=True)
child.wait()
time.sleep(60)
"""


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path)
    layout.make()
    return layout


def _keeper(
    layout: Layout, *command: str, ready: Callable[[], bool] = lambda: True, children_save: bool = False
) -> Keeper:
    service = Service(
        name="small",
        command=command,
        environment=dict(os.environ),
        cwd=layout.root,
        ready=ready,
        answers=ready,
        children_save=children_save,
    )
    return Keeper(service, layout=layout, board=Board(layout, ["small"]), needs=())


def _eventually(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_what_fails_at_once_is_restarted_after_longer_and_longer_pauses(layout: Layout) -> None:
    times = layout.root / "times"
    keeper = _keeper(layout, "sh", "-c", "date +%s.%N >> times; exit 1", ready=lambda: False)
    keeper.start()
    _eventually(lambda: times.exists() and len(times.read_text().split()) == 4)
    keeper.stop()
    starts = [float(word) for word in times.read_text().split()]
    pauses = [later - earlier for earlier, later in itertools.pairwise(starts)]
    assert pauses == pytest.approx([0.5, 1.0, 2.0], abs=0.45)  # a busy machine adds to each


def test_what_a_killed_service_left_ends_before_it_starts_again(layout: Layout) -> None:
    script = f"setsid {SLEEP} 60 & {SLEEP} 60"
    keeper = _keeper(layout, "sh", "-c", script)
    keeper.start()
    _eventually(lambda: len(marks.processes(layout, "small")) == 3)
    first = marks.processes(layout, "small")
    next(process for process in first if process.name() == "sh").kill()
    _, alive = psutil.wait_procs(first, timeout=10)
    assert not alive
    _eventually(lambda: len(marks.processes(layout, "small")) == 3)
    keeper.stop()
    assert not marks.processes(layout)


def test_a_workers_child_may_save_before_its_parent_is_told_to_end(layout: Layout) -> None:
    keeper = _keeper(layout, sys.executable, "-c", WITH_CHILD, children_save=True)
    keeper.start()
    _eventually((layout.root / "up").exists)
    keeper.stop()
    assert (layout.root / "order").read_text().splitlines() == ["child saved", "parent ended"]


def test_a_program_that_ignores_sigterm_is_killed(layout: Layout) -> None:
    keeper = _keeper(layout, "sh", "-c", f"trap '' TERM; {SLEEP} 60")
    object.__setattr__(keeper.service, "stop_seconds", 0.5)
    keeper.start()
    _eventually(keeper.ready.is_set)
    keeper.stop()
    assert not marks.processes(layout)


def test_other_stacks_are_left_alone(layout: Layout, tmp_path: Path) -> None:
    longer = Layout(tmp_path.with_name(f"{tmp_path.name}-2"))
    longer.make()
    keeper = _keeper(longer, SLEEP, "60")
    keeper.start()
    _eventually(keeper.ready.is_set)
    marks.end(layout, grace=0.5)
    assert len(marks.processes(longer)) == 1
    assert marks.processes(longer)[0].status() != psutil.STATUS_ZOMBIE
    keeper.stop()


def test_a_signal_that_ends_a_service_is_named(layout: Layout) -> None:
    keeper = _keeper(layout, SLEEP, "60")
    board = keeper._board
    keeper.start()
    _eventually(keeper.ready.is_set)
    os.kill(board["small"].pid or 0, signal.SIGKILL)
    _eventually(lambda: board["small"].failures == 1)
    assert "small ended (signal 9)" in board["small"].message
    keeper.stop()
