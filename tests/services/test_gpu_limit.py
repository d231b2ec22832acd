"""The lease of GPUs on a real Prefect server that dies while a stage holds some."""

import subprocess
import sys
from pathlib import Path

import pytest
from lzn_testing.processes.waiting import wait_until
from lzn_testing.servers.prefect_api import PrefectApi
from lzn_testing.servers.prefect_with_password import neutral_environment, prefect_home

from pipelines.local.prefect_server import DEFAULTS, HOST, free_port, start_server, stop_server

pytestmark = pytest.mark.services

LEASE_SECONDS = 60.0
"""Prefect's minimum. A lease is renewed after three quarters of it."""
HOLDER = f"""
import time
from pathlib import Path
from pipelines.cluster.worker.gpu_limit import cluster_gpu_slots
with cluster_gpu_slots(1, lease_seconds={LEASE_SECONDS}):
    Path("held").touch()
    while not Path("stop").exists():
        time.sleep(0.1)
    Path("done").touch()
"""


def test_a_training_continues_when_the_server_has_lost_its_lease(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://{HOST}:{port}/api"
    environment = {
        **neutral_environment(),
        **DEFAULTS,
        "PREFECT_HOME": str(prefect_home(tmp_path)),
        "PREFECT_API_URL": url,
    }
    log = tmp_path / "holder.log"
    server = start_server(port, environment=environment)  # keeps leases in memory, as is Prefect's default
    try:
        PrefectApi(url).post("v2/concurrency_limits/", name="gpus", limit=1)
        with log.open("wb") as output:
            holder = subprocess.Popen(
                [sys.executable, "-c", HOLDER], cwd=tmp_path, env=environment, stdout=output, stderr=output
            )
        wait_until((tmp_path / "held").exists, "the lease", seconds=3 * LEASE_SECONDS, context=log.read_text)
        server.kill()
        server.wait()
        server = start_server(port, environment=environment)

        wait_until(
            lambda: "lease renewal failed - slots are no longer reserved" in log.read_text(),
            "the failed renewal",
            seconds=3 * LEASE_SECONDS,
            context=log.read_text,
        )

        (tmp_path / "stop").touch()
        assert holder.wait(60) == 0, log.read_text()
        assert (tmp_path / "done").exists()
    finally:
        stop_server(server)
