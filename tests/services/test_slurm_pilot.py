"""infra/slurm/pilot_worker.sbatch on a real Slurm cluster: a flow run continues in a requeued job."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from lzn_testing import PROJECT
from lzn_testing.processes.waiting import wait_until
from lzn_testing.servers import pilot_flow
from lzn_testing.servers.one_node_slurm import PATIENCE_SECONDS, OneNodeSlurm, job_variables
from lzn_testing.servers.prefect_with_password import PrefectWithPassword, prefect_with_password

pytestmark = pytest.mark.services


@pytest.fixture
def prefect(tmp_path: Path) -> Iterator[PrefectWithPassword]:
    with prefect_with_password(tmp_path) as server:
        server.api.make_pool("gpu")
        server.api.deploy(Path(pilot_flow.__file__), "count", pool="gpu")
        yield server


def test_a_pilot_worker_queues_again_before_its_time_limit_and_its_flow_continues(
    slurm: OneNodeSlurm, prefect: PrefectWithPassword, tmp_path: Path
) -> None:
    counting = tmp_path / "counting"
    counting.mkdir()
    log = tmp_path / "pilot.log"
    secrets = tmp_path / "env"
    secrets.touch(mode=0o600)
    secrets.write_text("".join(f"export {name}='{value}'\n" for name, value in prefect.client.items()))
    first = prefect.api.start("count", folder=str(counting))
    number = slurm.submit(
        "infra/slurm/pilot_worker.sbatch", folder=PROJECT,
        options=["--time=30", "--signal=B:USR1@120", f"--output={log}"],
        settings=job_variables(LZN_ENV_FILE=str(secrets), LZN_POLL_SECONDS="1", LZN_IDLE_SECONDS="5"),
    )  # fmt: skip
    wait_until(
        (counting / "started").exists, "the flow's program", seconds=PATIENCE_SECONDS, context=log.read_text
    )
    assert prefect.api.state_of(first)["type"] == "RUNNING"

    # In minutes. Slurm sends its signal at the next check.
    slurm.control("update", f"JobId={number}", "TimeLimit=2")
    slurm.wait_for_requeue(number, restarts=1)
    assert not slurm.processes_of_jobs()
    assert prefect.api.state_of(first)["type"] == "CRASHED"
    saved = int((counting / "saved").read_text())

    slurm.control("update", f"JobId={number}", "TimeLimit=30")
    (counting / "enough").touch()
    second = prefect.api.start("count", folder=str(counting))
    ended = slurm.wait_for_end(number)
    assert (ended.state, ended.restarts) == ("COMPLETED", 1), log.read_text()
    assert "Idle for 5 s: ended" in log.read_text()
    assert prefect.api.state_of(second)["type"] == "COMPLETED"
    assert (counting / "started").read_text().split() == ["0", str(saved)]
    assert not slurm.processes_of_jobs()
