"""The work pool templates, filled in by Prefect's own workers, give valid Jobs and containers."""

import asyncio
import importlib
import json
from typing import Any
from uuid import uuid4

import pytest
from lzn_testing.servers.infra_files import CLIENT_VARIABLES
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun

from infra.make_env import Passwords
from infra.validate import KUSTOMIZATIONS, check_manifests, read_manifests
from infra.work_pools.template import main, read_template

FLOW_RUN = FlowRun(id=uuid4(), flow_id=uuid4(), name="fluffy-zone")


def worker_module(pool_type: str) -> Any:
    """Import the module of Prefect's worker. It takes seconds, and all processes of a test run import this file."""
    return importlib.import_module(f"prefect_{pool_type}.worker")


def filled_in(configuration: Any, pool_type: str, variables: dict[str, Any]) -> Any:
    """Return the template, filled in and prepared for a flow run, without a server: it refers to no Prefect blocks."""
    unused = PrefectClient("http://127.0.0.1:9/api")
    filled = asyncio.run(
        configuration.from_template_and_values(read_template(pool_type), variables, client=unused)
    )
    filled.prepare_for_flow_run(FLOW_RUN)
    return filled


def kubernetes_job(**variables: Any) -> dict[str, Any]:
    """Return the Job that the worker would make for a flow run with these job variables."""
    configuration = worker_module("kubernetes").KubernetesWorkerJobConfiguration
    job: dict[str, Any] = filled_in(configuration, "kubernetes", variables).job_manifest
    # Prefect requires both here, where Kubernetes ignores them; in their right place, these are the defaults.
    assert job["spec"]["template"]["spec"].pop("completions") == 1
    assert job["spec"]["template"]["spec"].pop("parallelism") == 1
    return job


def docker_settings(monkeypatch: pytest.MonkeyPatch, **variables: Any) -> Any:
    """Return the settings of a container; the worker's own variables have their names as values."""
    for name in CLIENT_VARIABLES:
        monkeypatch.setenv(
            name, "http://prefect:4200/api" if name == "PREFECT_API_URL" else f"value of {name}"
        )
    return filled_in(worker_module("docker").DockerWorkerJobConfiguration, "docker", variables)


def test_a_kubernetes_job_is_valid() -> None:
    check_manifests([kubernetes_job(gpus=2, env={"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30"})], "job")


def test_a_kubernetes_job_has_the_number_of_gpus_in_its_job_variable() -> None:
    limits = [
        kubernetes_job(**variables)["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]
        for variables in ({}, {"gpus": 8})
    ]
    assert [limit["nvidia.com/gpu"] for limit in limits] == [1, 8]


def test_a_kubernetes_job_refers_to_secrets_claims_and_accounts_that_exist() -> None:
    pod = kubernetes_job()["spec"]["template"]["spec"]
    manifests = [item for folder in KUSTOMIZATIONS for item in read_manifests(folder)]
    existing = {(item["kind"], item["metadata"]["name"]) for item in manifests}

    config_map, secret = pod["containers"][0]["envFrom"]
    assert ("ConfigMap", config_map["configMapRef"]["name"]) in existing
    assert secret["secretRef"]["name"] in Passwords().kubernetes_secrets()
    assert ("PersistentVolumeClaim", pod["volumes"][0]["persistentVolumeClaim"]["claimName"]) in existing
    assert ("ServiceAccount", pod["serviceAccountName"]) in existing


def test_a_kubernetes_job_is_a_client_for_the_network_policies() -> None:
    assert kubernetes_job()["spec"]["template"]["metadata"]["labels"]["lzn-client"] == "true"


def test_a_kubernetes_job_has_time_to_write_a_checkpoint_when_its_node_is_drained() -> None:
    assert kubernetes_job()["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] >= 165


def test_an_evicted_run_on_kubernetes_is_scheduled_again() -> None:
    job = kubernetes_job()
    environment = {
        item["name"]: item.get("value") for item in job["spec"]["template"]["spec"]["containers"][0]["env"]
    }
    assert job["spec"]["backoffLimit"] == 0
    assert environment["PREFECT_FLOW_RUN_EXECUTE_SIGTERM_BEHAVIOR"] == "reschedule"


def test_a_docker_container_gets_the_workers_variables_and_the_runs_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    environment = docker_settings(monkeypatch, env={"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30"}).env

    passed = CLIENT_VARIABLES - {
        "LZN_WORK",
        "LZN_SHARED_STATE",
        "LZN_GPUS",
        "LZN_NOTIFY",
        "PREFECT_API_URL",
        "PREFECT_API_AUTH_STRING",
    }
    assert {name: environment[name] for name in passed} == {name: f"value of {name}" for name in passed}
    assert (environment["LZN_WORK"], environment["LZN_SHARED_STATE"]) == ("/work", "/state")
    assert environment["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"] == "30"


def test_docker_accepts_the_settings_of_a_container(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = docker_settings(monkeypatch, gpus=4).container_create_kwargs

    docker = importlib.import_module("docker.models.containers")
    arguments = {"image": "lzn", "command": None, "version": "1.44", **settings}
    host = docker._create_container_args(arguments)["host_config"]

    [request] = host["DeviceRequests"]
    assert (request["Driver"], request["Count"], request["Capabilities"]) == ("nvidia", 4, [["gpu"]])
    assert host["ShmSize"] == 8 * 2**30
    assert (host["CapDrop"], host["SecurityOpt"]) == (["ALL"], ["no-new-privileges:true"])


@pytest.mark.parametrize(
    ("pool_type", "name"), [("kubernetes", "KubernetesWorker"), ("docker", "DockerWorker")]
)
def test_a_template_has_every_variable_of_prefects_own(pool_type: str, name: str) -> None:
    worker = getattr(worker_module(pool_type), name)
    ours, prefects = read_template(pool_type), worker.get_default_base_job_template()

    missing = set(prefects["variables"]["properties"]) - set(ours["variables"]["properties"])
    assert missing <= {"container_create_kwargs"}, "fixed by this template"
    assert set(ours["job_configuration"]) == set(prefects["job_configuration"])


def test_the_image_and_namespace_of_the_template_can_be_replaced(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["kubernetes", "--image", "registry.example.org/lzn:1", "--namespace", "team"]) == 0

    properties = json.loads(capsys.readouterr().out)["variables"]["properties"]
    assert properties["image"]["default"] == "registry.example.org/lzn:1"
    assert properties["namespace"]["default"] == "team"
    assert read_template("kubernetes")["variables"]["properties"]["image"]["default"] == "lzn:0.1.0-cuda"


@pytest.mark.parametrize("pool_type", ["kubernetes", "docker"])
def test_no_template_contains_a_secret(pool_type: str) -> None:
    text = json.dumps(read_template(pool_type)["job_configuration"].get("env", {}))
    assert "value" not in text
    for name in ("AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_PASSWORD"):
        assert text.count(name) == (2 if pool_type == "docker" else 0)  # its name, and the worker's variable
