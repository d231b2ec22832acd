"""The deployments on a real Prefect server with a password, and what becomes of runs whose processes die."""

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
from lzn_testing.servers.held_run import PATIENCE, HeldRun, end_tree, wait_until
from lzn_testing.servers.prefect_api import PrefectApi
from lzn_testing.servers.prefect_with_password import AUTH_STRING, PrefectWithPassword, prefect_with_password
from prefect.client.orchestration import SyncPrefectClient
from ruamel.yaml import YAML

from infra.stack import marks
from pipelines.cluster.children import Children
from pipelines.cluster.server_setup import UNSTARTED, ZOMBIES
from pipelines.local.prefect_server import HOST, free_port
from pipelines.resources import Resources

pytestmark = pytest.mark.services

ZOMBIE_SECONDS = 45.0
"""One and a half heartbeats; the project's own window is three, and heartbeats can be no faster than every 30 s."""
UNSTARTED_SECONDS = 60.0
"""A run's process begins within ten seconds; the project's own window is five minutes."""
WINDOWS = (f"--zombie-seconds={ZOMBIE_SECONDS}", f"--unstarted-seconds={UNSTARTED_SECONDS}")
CHANGING = {"updated", "last_polled", "status", "version_id", "last_heartbeat_time"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectWithPassword]:
    with prefect_with_password(tmp_path_factory.mktemp("prefect")) as server:
        yield server


@pytest.fixture(scope="module")
def environment(server: PrefectWithPassword) -> Mapping[str, str]:
    return server.environment


def deploy(environment: Mapping[str, str], *arguments: str, code: int = 0) -> str:
    """What the command says; from a folder that is not the project's."""
    ended = subprocess.run(
        [sys.executable, "-m", "pipelines.cluster.deploy", *arguments],
        cwd="/", env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert ended.returncode == code, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


@pytest.fixture(scope="module")
def api(server: PrefectWithPassword, environment: Mapping[str, str]) -> PrefectApi:
    """The server after a deployment of the project."""
    deploy({**environment, "LZN_GPUS": "4"}, *WINDOWS)
    return server.api


@pytest.fixture(scope="module")
def hold_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with one deployment, whose runs send heartbeats as the project's do."""
    file = tmp_path_factory.mktemp("deployments") / "prefect.yaml"
    job_variables = YAML(typ="safe").load(PROJECT / "prefect.yaml")["definitions"]["job_variables"]
    work_pool = {"name": "cpu", "job_variables": job_variables}
    hold = {"name": "hold", "entrypoint": "lzn_testing.servers.deployed_flows.hold", "work_pool": work_pool}
    YAML(typ="safe").dump({"build": None, "push": None, "pull": [], "deployments": [hold]}, file)
    return file


def everything(api: PrefectApi) -> dict[str, list[dict[str, Any]]]:
    """What a deployment makes on the server, without what changes by itself."""
    kinds = ("work_pools", "deployments", "automations", "v2/concurrency_limits", "flows", "work_queues")
    return {
        kind: sorted((without(item, CHANGING) for item in api.all_of(kind)), key=lambda item: str(item["id"]))
        for kind in kinds
    }


def without(value: Any, keys: set[str]) -> Any:
    if isinstance(value, dict):
        return {key: without(item, keys) for key, item in value.items() if key not in keys}
    return [without(item, keys) for item in value] if isinstance(value, list) else value


def test_a_second_deployment_changes_nothing_and_doubles_nothing(api: PrefectApi, environment):
    before = everything(api)

    said = deploy({**environment, "LZN_GPUS": "4"}, *WINDOWS)

    assert said.count("as it was") == 5
    assert everything(api) == before


def test_pools_limits_schedules_and_the_automation_are_as_said(api: PrefectApi):
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


def test_a_changed_number_is_taken_over(api: PrefectApi, environment, hold_file: Path):
    same = [f"--prefect-file={hold_file}", *WINDOWS]
    said = deploy(environment, "--gpus=8", "--pool-limit=cpu=3", *same)

    assert "work pool cpu (process, at most 3 runs): changed: concurrency_limit" in said
    limits = {pool["name"]: pool["concurrency_limit"] for pool in api.all_of("work_pools")}
    assert limits == {"control": 16, "cpu": 3, "gpu": 8}

    deploy(environment, "--gpus=4", *same)
    limits = {pool["name"]: pool["concurrency_limit"] for pool in api.all_of("work_pools")}
    assert limits == {"control": 16, "cpu": None, "gpu": 4}


@pytest.mark.parametrize("auth_string", [None, "lzn:wrong", ":"])
@pytest.mark.parametrize(
    "path", ["work_pools/filter", "flow_runs/filter", "deployments/filter", "variables/filter"]
)
def test_who_has_no_password_or_another_is_refused(api: PrefectApi, path: str, auth_string: str | None):
    with pytest.raises(HTTPError) as raised:
        PrefectApi(api.url, auth_string).post(path)
    assert raised.value.code == 401


def test_a_wrong_password_and_a_server_that_is_absent_are_said_in_one_line(api: PrefectApi, environment):
    said = deploy({**environment, "PREFECT_API_AUTH_STRING": "lzn:wrong"}, code=1)
    assert (
        said
        == f"error: the Prefect server at {api.url} wants another PREFECT_API_AUTH_STRING (401 Unauthorized)\n"
    )

    nobody = f"http://{HOST}:{free_port()}/api"
    said = deploy({**environment, "PREFECT_API_URL": nobody}, code=1)
    assert said.startswith(f"error: no Prefect server answers at {nobody}: ")
    assert said.count("\n") == 1


def test_a_pool_of_another_type_is_not_changed_behind_its_deployments_back(
    api: PrefectApi, environment, tmp_path
):
    template = tmp_path / "template.json"
    template.write_text('{"job_configuration": {}, "variables": {}}')

    said = deploy(environment, "--pool-type=gpu=kubernetes", f"--pool-template=gpu={template}", code=1)

    assert said.splitlines()[-1].startswith("error: work pool gpu is of type process, not kubernetes")


def test_what_a_stage_would_wait_for_in_vain_is_known_before_it_waits(api: PrefectApi):
    with SyncPrefectClient(api.url, auth_string=AUTH_STRING) as client:
        children = Children(client, relay=print)
        assert [children.lacking(Resources(pool="gpu", gpus=gpus)) == "" for gpus in (4, 5)] == [True, False]
        assert "5 GPUs, and the cluster's limit gpus" in children.lacking(Resources(pool="gpu", gpus=5))
        assert children.is_without_workers("gpu")


# Runs whose processes die


@pytest.fixture(scope="module")
def held(api: PrefectApi, environment: Mapping[str, str], hold_file: Path) -> PrefectApi:
    """The server with a deployment `hold` in the pool `cpu`, made by the project's own command."""
    deploy(environment, "--gpus=4", *WINDOWS, f"--prefect-file={hold_file}")
    return api


@pytest.fixture(scope="module")
def taken(held: PrefectApi) -> str:
    """A run that a worker took, and whose process never began; it takes a minute until somebody notices."""
    run = held.start("hold", folder="/nonexistent")
    held.set_state(run, "PENDING")  # what a worker does first; here none goes on
    return run


@pytest.fixture
def start_worker(
    environment: Mapping[str, str], tmp_path: Path
) -> Iterator[Callable[[], "subprocess.Popen[bytes]"]]:
    """Start workers of the pool `cpu`; what they run is ended with them."""
    workers: list[subprocess.Popen[bytes]] = []

    def start() -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "cpu", "--limit", "1"]
        log = (tmp_path / f"worker-{len(workers)}.log").open("wb")
        fast = {"PREFECT_WORKER_QUERY_SECONDS": "2"}  # looks for new runs
        workers.append(
            subprocess.Popen(
                command, cwd="/", env={**environment, **fast}, stdout=log, stderr=log, start_new_session=True
            )
        )
        return workers[-1]

    yield start
    for worker in workers:
        end_tree(worker.pid)
        worker.wait()


@pytest.mark.usefixtures("taken")  # its minute passes meanwhile
def test_cancelling_a_run_ends_its_whole_process_tree(held: PrefectApi, start_worker, tmp_path: Path):
    start_worker()
    run = HeldRun(held, tmp_path / "run")

    held.cancel(run.id)

    run.wait_until_nothing_runs()
    run.wait_until("CANCELLED")


def test_a_run_whose_process_is_killed_is_crashed_and_leaves_nothing(
    held: PrefectApi, start_worker, tmp_path: Path
):
    start_worker()
    run = HeldRun(held, tmp_path / "run")

    os.kill(run.flow, signal.SIGKILL)

    run.wait_until("CRASHED")
    run.wait_until_nothing_runs()
    said = held.state_of(run.id)["message"]
    assert "no sign of life" not in said  # the worker saw it, before the automation


def test_a_run_outlives_its_worker_and_is_crashed_once_it_shows_no_sign_of_life(
    held: PrefectApi, start_worker, tmp_path: Path
):
    worker = start_worker()
    run = HeldRun(held, tmp_path / "run")
    worker.kill()
    time.sleep(ZOMBIE_SECONDS + 10.0)  # its heartbeats are its own, so the automation lets it be
    assert held.state_of(run.id)["type"] == "RUNNING"
    assert all(map(marks.is_alive, [run.flow, *run.stage]))

    os.kill(run.flow, signal.SIGKILL)

    run.wait_until("CRASHED")
    run.wait_until_nothing_runs()
    assert "no sign of life" in held.state_of(run.id)["message"]


def test_a_run_that_a_worker_took_and_never_started_is_crashed(held: PrefectApi, taken: str):
    wait_until(lambda: held.state_of(taken)["type"] == "CRASHED")

    assert "not started" in held.state_of(taken)["message"]
    times = {state["type"]: datetime.fromisoformat(state["timestamp"]) for state in held.states_of(taken)}
    seconds = (times["CRASHED"] - times["PENDING"]).total_seconds()
    assert seconds > UNSTARTED_SECONDS - 5.0  # not before its time: a slow worker is not dead
