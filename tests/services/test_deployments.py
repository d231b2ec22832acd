"""Deployments on a real Prefect server with a password, and the states of runs whose processes die."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
from lzn_testing import PROJECT
from lzn_testing.servers.held_run import PATIENCE_SECONDS, HeldRun, kill_tree, wait_until
from lzn_testing.servers.prefect_api import PrefectApi
from lzn_testing.servers.prefect_with_password import AUTH_STRING, PrefectWithPassword, prefect_with_password
from prefect.client.orchestration import SyncPrefectClient
from ruamel.yaml import YAML

from infra.processes import is_alive
from pipelines.cluster.server_setup import UNSTARTED, ZOMBIES
from pipelines.cluster.stage_runs import StageRuns
from pipelines.local.prefect_server import HOST, free_port
from pipelines.resources import Resources

pytestmark = pytest.mark.services

ZOMBIE_SECONDS = 45.0
"""One and a half heartbeats. The project's window is three; the shortest interval of heartbeats is 30 s."""
UNSTARTED_SECONDS = 60.0
"""A run's process starts within ten seconds. The project's window is five minutes."""
WINDOWS = (f"--zombie-seconds={ZOMBIE_SECONDS}", f"--unstarted-seconds={UNSTARTED_SECONDS}")
VOLATILE_KEYS = {"updated", "last_polled", "status", "version_id", "last_heartbeat_time"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectWithPassword]:
    with prefect_with_password(tmp_path_factory.mktemp("prefect")) as server:
        yield server


@pytest.fixture(scope="module")
def environment(server: PrefectWithPassword) -> Mapping[str, str]:
    return server.environment


def deploy(environment: Mapping[str, str], *arguments: str, code: int = 0) -> str:
    """Run the command outside the project's folder. Return its output."""
    ended = subprocess.run(
        [sys.executable, "-m", "pipelines.cluster.deploy", *arguments],
        cwd="/", env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False,
    )  # fmt: skip
    assert ended.returncode == code, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


@pytest.fixture(scope="module")
def api(server: PrefectWithPassword, environment: Mapping[str, str]) -> PrefectApi:
    """The server with the project's deployments."""
    deploy({**environment, "LZN_GPUS": "4"}, *WINDOWS)
    return server.api


@pytest.fixture(scope="module")
def hold_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with one deployment, whose runs send heartbeats as the project's runs do."""
    file = tmp_path_factory.mktemp("deployments") / "prefect.yaml"
    job_variables = YAML(typ="safe").load(PROJECT / "prefect.yaml")["definitions"]["job_variables"]
    work_pool = {"name": "cpu", "job_variables": job_variables}
    hold = {"name": "hold", "entrypoint": "lzn_testing.servers.deployed_flows.hold", "work_pool": work_pool}
    YAML(typ="safe").dump({"build": None, "push": None, "pull": [], "deployments": [hold]}, file)
    return file


def server_state(api: PrefectApi) -> dict[str, list[dict[str, Any]]]:
    """Return all objects that a deployment makes, without keys that change by themselves."""
    kinds = ("work_pools", "deployments", "automations", "v2/concurrency_limits", "flows", "work_queues")
    return {
        kind: sorted(
            (without(item, VOLATILE_KEYS) for item in api.all_of(kind)), key=lambda item: str(item["id"])
        )
        for kind in kinds
    }


def without(value: Any, keys: set[str]) -> Any:
    if isinstance(value, dict):
        return {key: without(item, keys) for key, item in value.items() if key not in keys}
    return [without(item, keys) for item in value] if isinstance(value, list) else value


def test_a_second_deployment_changes_and_duplicates_nothing(api: PrefectApi, environment):
    before = server_state(api)

    output = deploy({**environment, "LZN_GPUS": "4"}, *WINDOWS)

    assert output.count("unchanged") == 5
    assert server_state(api) == before


def test_pools_limits_schedules_and_automations_are_as_configured(api: PrefectApi):
    pools = {pool["name"]: pool for pool in api.all_of("work_pools")}
    assert {name: (pool["type"], pool["concurrency_limit"]) for name, pool in pools.items()} == {
        "control": ("process", 16),
        "cpu": ("process", None),
        "gpu": ("process", 4),
    }
    [gpus] = [limit for limit in api.all_of("v2/concurrency_limits") if limit["name"] == "gpus"]
    assert (gpus["limit"], gpus["slot_decay_per_second"], gpus["active"]) == (4, 0.0, True)

    flows = {flow["id"]: flow["name"] for flow in api.all_of("flows")}
    deployments = {f"{flows[item['flow_id']]}/{item['name']}": item for item in api.all_of("deployments")}
    assert {name: item["work_pool_name"] for name, item in deployments.items()} == {
        "reproduce/reproduce": "control",
        "reproduce/nightly": "control",
        "train-one/train-one": "control",
        "run-stage/cpu": "cpu",
        "run-stage/gpu": "gpu",
    }
    nightly = deployments["reproduce/nightly"]
    [schedule] = nightly["schedules"]
    assert (schedule["schedule"]["cron"], schedule["schedule"]["timezone"]) == ("0 3 * * *", "UTC")
    assert (schedule["active"], nightly["parameters"]) == (True, {"size": "digits"})
    assert nightly["global_concurrency_limit"]["limit"] == 1
    assert nightly["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"

    automations = {each["name"]: each for each in api.all_of("automations")}
    assert {name: each["enabled"] for name, each in automations.items()} == {ZOMBIES: True, UNSTARTED: True}
    assert automations[ZOMBIES]["trigger"]["within"] == ZOMBIE_SECONDS
    assert automations[UNSTARTED]["trigger"]["within"] == UNSTARTED_SECONDS


def test_a_changed_limit_is_applied(api: PrefectApi, environment, hold_file: Path):
    same = [f"--prefect-file={hold_file}", *WINDOWS]
    output = deploy(environment, "--gpus=8", "--pool-limit=cpu=3", *same)

    assert "work pool cpu (process, at most 3 runs): changed: concurrency_limit" in output
    limits = {pool["name"]: pool["concurrency_limit"] for pool in api.all_of("work_pools")}
    assert limits == {"control": 16, "cpu": 3, "gpu": 8}

    deploy(environment, "--gpus=4", *same)
    limits = {pool["name"]: pool["concurrency_limit"] for pool in api.all_of("work_pools")}
    assert limits == {"control": 16, "cpu": None, "gpu": 4}


@pytest.mark.parametrize("auth_string", [None, "lzn:wrong", ":"])
@pytest.mark.parametrize(
    "path", ["work_pools/filter", "flow_runs/filter", "deployments/filter", "variables/filter"]
)
def test_missing_and_wrong_passwords_are_refused(api: PrefectApi, path: str, auth_string: str | None):
    with pytest.raises(HTTPError) as raised:
        PrefectApi(api.url, auth_string).post(path)
    assert raised.value.code == 401


def test_a_wrong_password_and_a_missing_server_are_one_line_errors(api: PrefectApi, environment):
    output = deploy({**environment, "PREFECT_API_AUTH_STRING": "lzn:wrong"}, code=1)
    assert (
        output
        == f"error: the Prefect server at {api.url} refuses PREFECT_API_AUTH_STRING (401 Unauthorized)\n"
    )

    missing = f"http://{HOST}:{free_port()}/api"
    output = deploy({**environment, "PREFECT_API_URL": missing}, code=1)
    assert output.startswith(f"error: no Prefect server answers at {missing}: ")
    assert output.count("\n") == 1


def test_a_pool_of_another_type_is_not_replaced(api: PrefectApi, environment, tmp_path):
    template = tmp_path / "template.json"
    template.write_text('{"job_configuration": {}, "variables": {}}')

    output = deploy(environment, "--pool-type=gpu=kubernetes", f"--pool-template=gpu={template}", code=1)

    assert output.splitlines()[-1].startswith("error: work pool gpu is of type process, not kubernetes")


def test_missing_gpus_and_workers_are_found_before_a_stage_waits(api: PrefectApi):
    with SyncPrefectClient(api.url, auth_string=AUTH_STRING) as client:
        stage_runs = StageRuns(client, log=print)
        assert [stage_runs.missing_resources(Resources(pool="gpu", gpus=gpus)) == "" for gpus in (4, 5)] == [
            True,
            False,
        ]
        assert "5 GPUs, and the cluster's limit gpus" in stage_runs.missing_resources(
            Resources(pool="gpu", gpus=5)
        )
        assert stage_runs.is_without_workers("gpu")


# Runs whose processes die


@pytest.fixture(scope="module")
def held(api: PrefectApi, environment: Mapping[str, str], hold_file: Path) -> PrefectApi:
    """The server with a deployment `hold` in the pool `cpu`, made by the project's own command."""
    deploy(environment, "--gpus=4", *WINDOWS, f"--prefect-file={hold_file}")
    return api


@pytest.fixture(scope="module")
def taken(held: PrefectApi) -> str:
    """A run that a worker took and whose process never starts; the automation notices after a minute."""
    run = held.start("hold", folder="/nonexistent")
    held.set_state(run, "PENDING")  # the first step of a worker
    return run


@pytest.fixture
def start_worker(
    environment: Mapping[str, str], tmp_path: Path
) -> Iterator[Callable[[], "subprocess.Popen[bytes]"]]:
    """Start workers of the pool `cpu`. They and their processes are killed after the test."""
    workers: list[subprocess.Popen[bytes]] = []

    def start() -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "cpu", "--limit", "1"]
        log = (tmp_path / f"worker-{len(workers)}.log").open("wb")
        fast = {"PREFECT_WORKER_QUERY_SECONDS": "2"}  # interval of looking for runs
        workers.append(
            subprocess.Popen(
                command, cwd="/", env={**environment, **fast}, stdout=log, stderr=log, start_new_session=True
            )
        )
        return workers[-1]

    yield start
    for worker in workers:
        kill_tree(worker.pid)
        worker.wait()


@pytest.mark.usefixtures("taken")  # its minute of waiting starts here
def test_cancelling_a_run_ends_its_whole_process_tree(held: PrefectApi, start_worker, tmp_path: Path):
    start_worker()
    run = HeldRun(held, tmp_path / "run")

    held.cancel(run.id)

    run.wait_until_nothing_runs()
    run.wait_for_state("CANCELLED")


def test_a_run_whose_process_is_killed_is_crashed_and_leaves_no_process(
    held: PrefectApi, start_worker, tmp_path: Path
):
    start_worker()
    run = HeldRun(held, tmp_path / "run")

    os.kill(run.flow, signal.SIGKILL)

    run.wait_for_state("CRASHED")
    run.wait_until_nothing_runs()
    message = held.state_of(run.id)["message"]
    assert "no heartbeat for" not in message  # reported by the worker, not by the automation


def test_a_run_outlives_its_worker_and_is_crashed_once_it_sends_no_heartbeats(
    held: PrefectApi, start_worker, tmp_path: Path
):
    worker = start_worker()
    run = HeldRun(held, tmp_path / "run")
    worker.kill()
    time.sleep(ZOMBIE_SECONDS + 10.0)  # the run sends its own heartbeats
    assert held.state_of(run.id)["type"] == "RUNNING"
    assert all(map(is_alive, [run.flow, *run.stage]))

    os.kill(run.flow, signal.SIGKILL)

    run.wait_for_state("CRASHED")
    run.wait_until_nothing_runs()
    assert "no heartbeat for" in held.state_of(run.id)["message"]


def test_a_run_that_a_worker_took_and_never_started_is_crashed(held: PrefectApi, taken: str):
    wait_until(lambda: held.state_of(taken)["type"] == "CRASHED")

    assert "not started" in held.state_of(taken)["message"]
    times = {state["type"]: datetime.fromisoformat(state["timestamp"]) for state in held.states_of(taken)}
    seconds = (times["CRASHED"] - times["PENDING"]).total_seconds()
    assert seconds > UNSTARTED_SECONDS - 5.0  # not earlier, since the worker may only be slow
