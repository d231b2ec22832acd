"""The thread that restarts a service, tested with small programs instead of servers."""

import functools
import itertools
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from lzn_testing.processes import waiting

from infra.stack.layout import Layout
from infra.stack.process_tags import tagged_processes, terminate
from infra.stack.restarter import Restarter
from infra.stack.service import Service
from infra.stack.status_file import StatusFile

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


def make_restarter(
    layout: Layout,
    *command: str,
    is_ready: Callable[[], bool] = lambda: True,
    stops_children_first: bool = False,
) -> Restarter:
    service = Service(
        name="small",
        command=command,
        environment=dict(os.environ),
        cwd=layout.root,
        is_ready=is_ready,
        is_healthy=is_ready,
        stops_children_first=stops_children_first,
    )
    return Restarter(service, layout=layout, statuses=StatusFile(layout, ["small"]), needs=())


wait_until = functools.partial(waiting.wait_until, seconds=15.0, interval=0.02)


def test_a_failing_service_is_restarted_after_increasing_delays(layout: Layout) -> None:
    times = layout.root / "times"
    restarter = make_restarter(layout, "sh", "-c", "date +%s.%N >> times; exit 1", is_ready=lambda: False)
    restarter.start()
    wait_until(lambda: times.exists() and len(times.read_text().split()) == 4)
    restarter.stop()
    starts = [float(word) for word in times.read_text().split()]
    delays = [later - earlier for earlier, later in itertools.pairwise(starts)]
    assert delays == pytest.approx([0.5, 1.0, 2.0], abs=0.45)  # longer on a busy machine


def test_processes_left_by_a_killed_service_end_before_it_restarts(layout: Layout) -> None:
    script = f"setsid {SLEEP} 60 & {SLEEP} 60"
    restarter = make_restarter(layout, "sh", "-c", script)
    restarter.start()
    wait_until(lambda: len(tagged_processes(layout, "small")) == 3)
    first = tagged_processes(layout, "small")
    next(process for process in first if process.name() == "sh").kill()
    _, alive = psutil.wait_procs(first, timeout=10)
    assert not alive
    wait_until(lambda: len(tagged_processes(layout, "small")) == 3)
    restarter.stop()
    assert not tagged_processes(layout)


def test_a_worker_s_child_saves_its_work_before_the_worker_is_stopped(layout: Layout) -> None:
    restarter = make_restarter(layout, sys.executable, "-c", WITH_CHILD, stops_children_first=True)
    restarter.start()
    wait_until((layout.root / "up").exists)
    restarter.stop()
    assert (layout.root / "order").read_text().splitlines() == ["child saved", "parent ended"]


def test_a_program_that_ignores_sigterm_is_killed(layout: Layout) -> None:
    restarter = make_restarter(layout, "sh", "-c", f"trap '' TERM; {SLEEP} 60")
    object.__setattr__(restarter.service, "stop_seconds", 0.5)
    restarter.start()
    wait_until(restarter.ready.is_set)
    restarter.stop()
    assert not tagged_processes(layout)


def test_processes_of_other_stacks_are_not_stopped(layout: Layout, tmp_path: Path) -> None:
    other = Layout(tmp_path.with_name(f"{tmp_path.name}-2"))
    other.make()
    restarter = make_restarter(other, SLEEP, "60")
    restarter.start()
    wait_until(restarter.ready.is_set)
    terminate(layout, grace=0.5)
    assert len(tagged_processes(other)) == 1
    assert tagged_processes(other)[0].status() != psutil.STATUS_ZOMBIE
    restarter.stop()


def test_the_message_names_the_signal_that_ended_a_service(layout: Layout) -> None:
    restarter = make_restarter(layout, SLEEP, "60")
    statuses = restarter._statuses
    restarter.start()
    wait_until(restarter.ready.is_set)
    os.kill(statuses["small"].pid or 0, signal.SIGKILL)
    wait_until(lambda: statuses["small"].failures == 1)
    assert "small ended (signal 9)" in statuses["small"].message
    restarter.stop()
