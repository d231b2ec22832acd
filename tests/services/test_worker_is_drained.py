"""`python -m infra.worker` told to stop in the middle of a flow run, as a container's end or a drained node does."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psutil
import pytest

from pipelines.prefect_server import free_port, start_server, stop_server

pytestmark = [pytest.mark.services, pytest.mark.timeout(300)]

# Saves its work in two seconds, and leaves a helper behind, in a session of its own, that takes one more to end.
FLOWS = '''
import os, subprocess, sys, time
from pathlib import Path
from prefect import flow

FOLDER = Path(__file__).parent
HELPER = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
parent = os.getppid()
while os.getppid() == parent: time.sleep(0.1)
time.sleep(1)
open(sys.argv[1], "w").write("tidied up")
"""

@flow
def training():
    subprocess.Popen([sys.executable, "-c", HELPER, str(FOLDER / "helper")], start_new_session=True)
    (FOLDER / "started").write_text(str(os.getpid()))
    try:
        time.sleep(200)
    finally:
        time.sleep(2)
        (FOLDER / "saved").write_text("a checkpoint")
'''

DEPLOY = """
from flows import training
training.from_source(source=".", entrypoint="flows.py:training").deploy(
    name="one", work_pool_name="pool", build=False, push=False, ignore_warnings=True)
"""


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A Prefect server with a deployment of the flow above, as a client's environment."""
    home = {
        "PREFECT_HOME": str(tmp_path / "home"),
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    }
    port = free_port()
    server = start_server(port, environment={**os.environ, **home})
    client = {**os.environ, **home, "PREFECT_API_URL": f"http://127.0.0.1:{port}/api"}
    (tmp_path / "flows.py").write_text(FLOWS)
    try:
        prefect(client, "work-pool", "create", "pool", "--type", "process")
        subprocess.run(
            [sys.executable, "-c", DEPLOY], cwd=tmp_path, env=client, check=True, capture_output=True
        )
        yield client
    finally:
        stop_server(server)


def prefect(environment: Mapping[str, str], *arguments: str) -> str:
    command = [sys.executable, "-m", "prefect", "--no-prompt", *arguments]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return done.stdout


def wait_until(happened: Callable[[], bool], seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_flow_run_saves_its_work_before_the_worker_ends(
    environment: dict[str, str], tmp_path: Path, number: signal.Signals
) -> None:
    arguments = ["--grace-seconds", "30", "--pool", "pool", "--name", "w", "--limit", "1"]
    worker = subprocess.Popen([sys.executable, "-m", "infra.worker", *arguments], env=environment)
    prefect(environment, "deployment", "run", "training/one")
    wait_until((tmp_path / "started").exists)
    prefect(environment, "deployment", "run", "training/one")  # waits for the worker's one slot

    worker.send_signal(number)

    assert worker.wait(60) == 0
    assert (tmp_path / "saved").read_text() == "a checkpoint"
    assert (tmp_path / "helper").read_text() == "tidied up"
    assert not psutil.pid_exists(int((tmp_path / "started").read_text()))
    states = prefect({**environment, "COLUMNS": "200"}, "flow-run", "ls")
    assert (
        states.count("CRASHED") == 1
    )  # told by the flow run itself, not minutes later by its missing heartbeats
    assert (
        states.count("SCHEDULED") + states.count("LATE") + states.count("PENDING") == 1
    )  # left for other workers


def test_what_does_not_end_in_time_is_killed(environment: dict[str, str], tmp_path: Path) -> None:
    arguments = ["--grace-seconds", "1", "--pool", "pool", "--name", "w"]
    worker = subprocess.Popen([sys.executable, "-m", "infra.worker", *arguments], env=environment)
    prefect(environment, "deployment", "run", "training/one")
    wait_until((tmp_path / "started").exists)

    started = time.monotonic()
    worker.terminate()

    assert worker.wait(60) == 0
    assert time.monotonic() - started < 20
    assert not (tmp_path / "saved").exists()
    assert not psutil.pid_exists(int((tmp_path / "started").read_text()))


def test_a_worker_that_dies_takes_this_program_with_it(environment: dict[str, str]) -> None:
    worker = subprocess.Popen(
        [sys.executable, "-m", "infra.worker", "--pool", "pool", "--name", "w"], env=environment
    )
    wait_until(lambda: bool(psutil.Process(worker.pid).children()))
    [child] = psutil.Process(worker.pid).children()

    child.kill()

    assert worker.wait(30) == -signal.SIGKILL
