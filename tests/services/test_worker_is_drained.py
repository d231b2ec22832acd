"""`python -m infra.worker` gets SIGTERM during a flow run, as when a container stops or a node is drained."""

import functools
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from lzn_testing.processes import waiting
from lzn_testing.servers.held_run import kill_tree
from lzn_testing.servers.prefect_api import PrefectApi
from lzn_testing.servers.prefect_with_password import PrefectWithPassword, prefect_with_password

pytestmark = [pytest.mark.services, pytest.mark.timeout(300)]

# Saves its work in two seconds. Its helper runs in another session and needs one second more to end.
FLOWS = '''
import os, subprocess, sys, time
from pathlib import Path
from prefect import flow

HELPER = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
parent = os.getppid()
while os.getppid() == parent: time.sleep(0.1)
time.sleep(1)
open(sys.argv[1], "w").write("finished")
"""

@flow
def training(folder: str):
    folder = Path(folder)
    subprocess.Popen([sys.executable, "-c", HELPER, str(folder / "helper")], start_new_session=True)
    (folder / "started").write_text(str(os.getpid()))
    try:
        time.sleep(200)
    finally:
        time.sleep(2)
        (folder / "saved").write_text("a checkpoint")
'''

StartWorker = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectWithPassword]:
    """Start a Prefect server with a pool and a deployment of the flow above."""
    folder = tmp_path_factory.mktemp("prefect")
    flows = folder / "flows.py"
    flows.write_text(FLOWS)
    with prefect_with_password(folder) as server:
        server.api.make_pool("drained")
        server.api.deploy(flows, "training", pool="drained")
        yield server


@pytest.fixture
def api(server: PrefectWithPassword) -> PrefectApi:
    return server.api


@pytest.fixture
def start_worker(server: PrefectWithPassword) -> Iterator[StartWorker]:
    workers: list[subprocess.Popen[bytes]] = []

    def start(*options: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "infra.worker", *options, "--pool", "drained"]
        workers.append(subprocess.Popen(command, env=server.environment))
        return workers[-1]

    yield start
    for worker in workers:
        kill_tree(worker.pid)
        worker.wait()


wait_until = functools.partial(waiting.wait_until, seconds=90.0, interval=0.1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_flow_run_saves_its_work_before_the_worker_ends(
    api: PrefectApi, start_worker: StartWorker, tmp_path: Path, number: signal.Signals
) -> None:
    running = api.start("training", folder=str(tmp_path))
    worker = start_worker("--grace-seconds", "60", "--limit", "1")
    wait_until((tmp_path / "started").exists)
    waiting_run = api.start("training", folder=str(tmp_path))  # waits for the worker's only slot

    worker.send_signal(number)

    assert worker.wait(100) == 0
    assert (tmp_path / "saved").read_text() == "a checkpoint"
    assert (tmp_path / "helper").read_text() == "finished"
    assert not psutil.pid_exists(int((tmp_path / "started").read_text()))
    # The flow run itself reports its state, without waiting for missing heartbeats. The other stays for other workers.
    assert api.state_of(running)["type"] == "CRASHED"
    assert api.state_of(waiting_run)["type"] == "SCHEDULED"
    api.set_state(waiting_run, "CANCELLED")  # not for the workers of later tests


def test_processes_that_do_not_end_in_time_are_killed(
    api: PrefectApi, start_worker: StartWorker, tmp_path: Path
) -> None:
    api.start("training", folder=str(tmp_path))
    worker = start_worker("--grace-seconds", "1")
    wait_until((tmp_path / "started").exists)

    started = time.monotonic()
    worker.terminate()

    assert worker.wait(60) == 0
    assert time.monotonic() - started < 20
    assert not (tmp_path / "saved").exists()
    assert not psutil.pid_exists(int((tmp_path / "started").read_text()))


def test_the_program_ends_when_its_worker_dies(start_worker: StartWorker) -> None:
    worker = start_worker()
    wait_until(lambda: bool(psutil.Process(worker.pid).children()))
    [child] = psutil.Process(worker.pid).children()

    child.kill()

    assert worker.wait(30) == 128 + signal.SIGKILL
