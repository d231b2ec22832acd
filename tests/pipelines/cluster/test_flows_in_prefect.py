"""The flows of a cluster on a real Prefect server with a worker, and what a person sees of them."""

import subprocess
import sys
from collections.abc import Iterator, Mapping

import pytest
from lzn_testing import PROJECT
from lzn_testing.processes.waiting import wait_until
from lzn_testing.projects.toy_cluster import ToyCluster
from lzn_testing.servers.held_run import kill_tree
from lzn_testing.servers.prefect_api import PrefectApi
from lzn_testing.servers.prefect_with_password import PrefectWithPassword, prefect_with_password

pytestmark = pytest.mark.slow  # a real Prefect server, and a process for each run

PARAMS = "size: toy\nfamilies: {}\nresources: {default: {pool: cpu}}\n"
BARS = "python -c 'import tqdm, time; [time.sleep(.3) for _ in tqdm.tqdm(range(10), desc=\"left\", disable=False)]'"
SECONDS = 240.0
"""A stage takes ten seconds, most of it to start processes."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectWithPassword]:
    with prefect_with_password(tmp_path_factory.mktemp("prefect")) as server:
        command = [sys.executable, "-m", "pipelines.cluster.deploy"]
        subprocess.run(command, cwd=PROJECT, env=server.environment, check=True, capture_output=True)
        yield server


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> ToyCluster:
    cluster = ToyCluster.make(tmp_path_factory.mktemp("toy"), left=f"{BARS} && cat inputs/a code > made/left")
    (cluster.project / "params.yaml").write_text(PARAMS)
    cluster.commit()
    return cluster


@pytest.fixture(scope="module")
def environment(server: PrefectWithPassword, cluster: ToyCluster) -> Mapping[str, str]:
    machine = cluster.machine()
    variables = {"LZN_REPOSITORY": machine.repository, "LZN_DVC_REMOTE": machine.remote}
    folders = {"LZN_WORK": str(machine.work), "LZN_SHARED_STATE": str(machine.shared_state)}
    return {**server.environment, **variables, **folders, "PREFECT_WORKER_QUERY_SECONDS": "2"}


@pytest.fixture(scope="module")
def api(server: PrefectWithPassword, environment: Mapping[str, str]) -> Iterator[PrefectApi]:
    """The server with a worker of each pool."""
    workers = [
        subprocess.Popen(
            [sys.executable, "-m", "prefect", "worker", "start", "--pool", pool],
            cwd="/", env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )
        for pool in ("control", "cpu")
    ]  # fmt: skip
    yield server.api
    for worker in workers:
        kill_tree(worker.pid)
        worker.wait()


def finished(api: PrefectApi, deployment: str, **parameters: object) -> str:
    """Run a deployment to its end. Return the id of the run."""
    run = api.start(deployment, size="toy", **parameters)
    ends = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
    wait_until(
        lambda: api.state_of(run)["type"] in ends, "the end of the flow", seconds=SECONDS, interval=1.0
    )
    return run


@pytest.fixture(scope="module")
def dry_run(api: PrefectApi) -> str:
    return finished(api, "reproduce", dry_run=True)


@pytest.fixture(scope="module")
def run(api: PrefectApi, dry_run: str) -> str:
    return finished(api, "reproduce")


def test_a_dry_run_lists_all_stages_and_starts_none(api: PrefectApi, dry_run: str) -> None:
    assert api.state_of(dry_run)["message"] == "dry run: 4 stages to run, 0 already there"
    assert api.graph_of(dry_run) == {}
    [artifact] = api.artifacts_of(dry_run)
    assert artifact["key"] == "stages-toy"
    assert (
        "## To run\n\n- `prepare`\n- `left`\n- `right`\n- `join`\n\n## Already there\n\nnone"
        in artifact["data"]
    )


def test_the_graph_has_the_stages_by_name_the_edges_of_the_dag_and_their_runs(
    api: PrefectApi, run: str
) -> None:
    assert api.state_of(run)["message"] == "4 stages run, 0 up to date"
    assert api.edges_of(run) == {
        "prepare": set(),
        "left": {"prepare"},
        "right": {"prepare"},
        "join": {"left", "right"},
    }
    nodes = api.graph_of(run)
    assert {node["state_type"] for node in nodes.values()} == {"COMPLETED"}
    runs = {node["label"]: node["encapsulating"] for node in nodes.values() if node["kind"] == "flow-run"}
    assert {label: nodes[tasks[0]["id"]]["label"] for label, tasks in runs.items()} == {
        f"run-stage / {name}": name for name in ("prepare", "left", "right", "join")
    }


def test_the_list_of_stages_is_logged_before_they_start(api: PrefectApi, run: str) -> None:
    log = "\n".join(api.log_of(run))
    assert "4 stages to run, 0 already there:\n  to run         prepare\n" in log
    assert log.index("4 stages to run") < log.index("prepare: on pool cpu")


def test_the_progress_of_a_stage_is_an_artifact_of_its_run(api: PrefectApi, run: str) -> None:
    artifact = api.artifact("progress-left")
    assert (artifact["type"], artifact["data"]) == ("progress", 100.0)
    assert artifact["description"].startswith("left: left: 10/10 [")
    [stage] = api.all_of("flow_runs", flow_runs={"name": {"any_": ["left"]}})
    assert artifact["flow_run_id"] == stage["id"]
    assert "%|" not in "\n".join(api.log_of(stage["id"]))


def test_train_one_lists_what_is_there(api: PrefectApi, run: str) -> None:
    """The toy project has no run to train, which is an error of DVC and starts nothing."""
    failed = finished(api, "train-one", run="rf_lzn", dry_run=True)
    assert "train@rf_lzn" in api.state_of(failed)["message"]
    again = finished(api, "nightly", dry_run=True)
    assert api.state_of(again)["message"] == "dry run: 0 stages to run, 4 already there"
    assert api.graph_of(again) == {}
