"""The cluster's count of GPUs on a real Prefect server that dies while a stage holds some."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from lzn_testing.servers.prefect_with_password import neutral_environment

from pipelines.local.prefect_server import DEFAULTS, HOST, free_port, start_server, stop_server

pytestmark = pytest.mark.services

LEASE_SECONDS = 60.0
"""Prefect's least; a lease is renewed when three quarters of it have passed."""
HOLDER = f"""
import time
from pathlib import Path
from pipelines.cluster.worker.gpu_limit import gpus_of_the_cluster
with gpus_of_the_cluster(1, lease_seconds={LEASE_SECONDS}):
    Path("holds").touch()
    while not Path("enough").exists():
        time.sleep(0.1)
    Path("through").touch()
"""


def test_a_training_goes_on_whose_lease_the_server_has_lost(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://{HOST}:{port}/api"
    environment = {
        **neutral_environment(),
        **DEFAULTS,
        "PREFECT_HOME": str(tmp_path / "home"),
        "PREFECT_API_URL": url,
    }
    log = tmp_path / "holder.log"
    server = start_server(port, environment=environment)  # it keeps leases in memory, Prefect's default
    try:
        make_limit = [sys.executable, "-m", "prefect", "gcl", "create", "gpus", "--limit", "1"]
        subprocess.run(make_limit, env=environment, check=True, capture_output=True)
        with log.open("wb") as output:
            holder = subprocess.Popen(
                [sys.executable, "-c", HOLDER], cwd=tmp_path, env=environment, stdout=output, stderr=output
            )
        wait_for((tmp_path / "holds").exists, log)
        server.kill()
        server.wait()
        server = start_server(port, environment=environment)

        wait_for(lambda: "lease renewal failed - slots are no longer reserved" in log.read_text(), log)

        (tmp_path / "enough").touch()
        assert holder.wait(60) == 0, log.read_text()
        assert (tmp_path / "through").exists()
    finally:
        stop_server(server)


def wait_for(happened: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + 3 * LEASE_SECONDS
    while not happened():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)
