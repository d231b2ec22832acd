"""`python -m infra.worker` gets SIGTERM during a flow run, as when a container stops or a node is drained."""

import functools
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import psutil
import pytest
from lzn_testing.processes import waiting

from pipelines.local.prefect_server import free_port, start_server, stop_server

pytestmark = [pytest.mark.services, pytest.mark.timeout(300)]

# Saves its work in two seconds. Its helper runs in another session and needs one second more to end.
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
open(sys.argv[1], "w").write("finished")
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
import os
from flows import training
training.from_source(source=".", entrypoint="flows.py:training").deploy(
    name=os.environ["POOL"], work_pool_name=os.environ["POOL"], build=False, push=False, ignore_warnings=True)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Start a Prefect server. Return a client's environment."""
    home = str(tmp_path_factory.mktemp("prefect"))
    settings = {"PREFECT_HOME": home, "DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    port = free_port()
    process = start_server(port, environment={**os.environ, **settings})
    try:
        yield {**os.environ, **settings, "PREFECT_API_URL": f"http://127.0.0.1:{port}/api"}
    finally:
        stop_server(process)


@pytest.fixture
def environment(server: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """Make a pool for the test with a deployment of the flow above. Return a client's environment."""
    environment = {**server, "POOL": tmp_path.name}
    (tmp_path / "flows.py").write_text(FLOWS)
    run(
        [sys.executable, "-m", "prefect", "work-pool", "create", tmp_path.name, "--type", "process"],
        environment,
    )
    run([sys.executable, "-c", DEPLOY], environment, cwd=tmp_path)
    return environment


def run(command: Sequence[str], environment: Mapping[str, str], cwd: Path | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def start_flow_run(environment: Mapping[str, str]) -> None:
    run(
        [sys.executable, "-m", "prefect", "deployment", "run", f"training/{environment['POOL']}"], environment
    )


def start_worker(environment: Mapping[str, str], *options: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "infra.worker", *options, "--pool", environment["POOL"]]
    return subprocess.Popen(command, env=environment)


def states_of_flow_runs(environment: Mapping[str, str]) -> Counter[str]:
    """Return the number of the test's flow runs in each state."""
    program = """
import os
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import WorkPoolFilter, WorkPoolFilterName
mine = WorkPoolFilter(name=WorkPoolFilterName(any_=[os.environ["POOL"]]))
with get_client(sync_client=True) as client:
    print(*[run.state_type.name for run in client.read_flow_runs(work_pool_filter=mine)])
"""
    return Counter(run([sys.executable, "-c", program], environment).split())


wait_until = functools.partial(waiting.wait_until, seconds=90.0, interval=0.1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_flow_run_saves_its_work_before_the_worker_ends(
    environment: dict[str, str], tmp_path: Path, number: signal.Signals
) -> None:
    worker = start_worker(environment, "--grace-seconds", "60", "--limit", "1")
    start_flow_run(environment)
    wait_until((tmp_path / "started").exists)
    start_flow_run(environment)  # waits for the worker's only slot

    worker.send_signal(number)

    assert worker.wait(100) == 0
    assert (tmp_path / "saved").read_text() == "a checkpoint"
    assert (tmp_path / "helper").read_text() == "finished"
    assert not psutil.pid_exists(int((tmp_path / "started").read_text()))
    # The flow run itself reports its state, without waiting for missing heartbeats. The other stays for other workers.
    assert states_of_flow_runs(environment) == {"CRASHED": 1, "SCHEDULED": 1}


def test_processes_that_do_not_end_in_time_are_killed(environment: dict[str, str], tmp_path: Path) -> None:
    worker = start_worker(environment, "--grace-seconds", "1")
    start_flow_run(environment)
    wait_until((tmp_path / "started").exists)

    started = time.monotonic()
    worker.terminate()

    assert worker.wait(60) == 0
    assert time.monotonic() - started < 20
    assert not (tmp_path / "saved").exists()
    assert not psutil.pid_exists(int((tmp_path / "started").read_text()))


def test_the_program_ends_when_its_worker_dies(environment: dict[str, str]) -> None:
    worker = start_worker(environment)
    wait_until(lambda: bool(psutil.Process(worker.pid).children()))
    [child] = psutil.Process(worker.pid).children()

    child.kill()

    assert worker.wait(30) == 128 + signal.SIGKILL
