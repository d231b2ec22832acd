from collections.abc import Iterator
from typing import Any

import pytest
from lzn_testing.servers.infra_files import (
    CLIENT_VARIABLES,
    INFRA,
    PINNED_IMAGE,
    SECRET_NAME,
    SERVER_VARIABLES,
    read_yaml,
    values_below,
)

from infra.make_env import Passwords
from infra.validate import KUSTOMIZATIONS, InvalidError, check_manifests, kustomized, read_manifests

MANIFESTS = [item for folder in KUSTOMIZATIONS for item in read_manifests(folder)]
WORKLOADS = {item["metadata"]["name"]: item for item in MANIFESTS if "template" in item.get("spec", {})}
SECRETS = Passwords().kubernetes_secrets()
CLIENTS = {"deploy", "worker-control", "worker-cpu", "worker-gpu", "worker-gpu-jobs"}
OF_THE_WORKER_OF_JOBS = "PREFECT_INTEGRATIONS_KUBERNETES_"

workloads = pytest.mark.parametrize("name", WORKLOADS)


def objects(kind: str) -> dict[str, dict[str, Any]]:
    return {item["metadata"]["name"]: item for item in MANIFESTS if item["kind"] == kind}


def pod(name: str) -> dict[str, Any]:
    spec: dict[str, Any] = WORKLOADS[name]["spec"]["template"]["spec"]
    return spec


def pod_labels(name: str) -> dict[str, str]:
    labels: dict[str, str] = WORKLOADS[name]["spec"]["template"]["metadata"]["labels"]
    return labels


def container(name: str) -> dict[str, Any]:
    [only] = pod(name)["containers"]
    assert isinstance(only, dict)
    return only


def secrets_named(item: Any) -> Iterator[str]:
    for value in values_below(item):
        if isinstance(value, dict):
            for reference in ("secretRef", "secretKeyRef"):
                if reference in value:
                    yield value[reference]["name"]
            if "secretName" in value:
                yield value["secretName"]


def matches(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    plain = all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
    expressions = all(labels.get(one["key"]) in one["values"] for one in selector.get("matchExpressions", []))
    return plain and expressions


@pytest.mark.parametrize("folder", KUSTOMIZATIONS, ids=lambda folder: folder.name)
def test_manifests_are_valid_before_and_after_kustomize(folder: Any) -> None:
    check_manifests(read_manifests(folder), folder.name)
    check_manifests(kustomized(folder) or [], f"{folder.name}, built")


def test_a_misspelt_field_is_not_valid() -> None:
    misspelt = {**objects("Service")["mlflow"], "specs": {}}
    with pytest.raises(InvalidError, match=r"Service mlflow.*specs"):
        check_manifests([misspelt], "here")


@pytest.mark.parametrize("folder", KUSTOMIZATIONS, ids=lambda folder: folder.name)
def test_every_file_is_part_of_its_kustomization(folder: Any) -> None:
    kustomization = read_yaml(folder / "kustomization.yaml")
    patches = [patch["path"] for patch in kustomization.get("patches", [])]
    named = {*kustomization["resources"], *patches} - {"../kubernetes"}
    assert named == {file.name for file in folder.glob("*.yaml")} - {"kustomization.yaml"}


@workloads
def test_secrets_are_those_that_the_documented_command_makes(name: str) -> None:
    assert set(secrets_named(WORKLOADS[name])) <= set(SECRETS)


def test_every_secret_that_is_made_is_used_and_none_is_committed() -> None:
    assert set(secrets_named(MANIFESTS)) == set(SECRETS)
    assert not objects("Secret")


@workloads
def test_config_maps_claims_and_accounts_are_in_the_set(name: str) -> None:
    for value in values_below(pod(name)):
        if isinstance(value, dict) and "configMapRef" in value:
            assert value["configMapRef"]["name"] in objects("ConfigMap")
        if isinstance(value, dict) and "persistentVolumeClaim" in value:
            assert value["persistentVolumeClaim"]["claimName"] in objects("PersistentVolumeClaim")
    assert pod(name).get("serviceAccountName", "lzn-worker") in objects("ServiceAccount")


@workloads
def test_mounts_are_of_volumes_that_the_pod_has(name: str) -> None:
    claimed = {claim["metadata"]["name"] for claim in WORKLOADS[name]["spec"].get("volumeClaimTemplates", [])}
    volumes = {volume["name"] for volume in pod(name).get("volumes", [])} | claimed
    assert {mount["name"] for mount in container(name).get("volumeMounts", [])} == volumes


@workloads
def test_the_image_is_pinned(name: str) -> None:
    assert PINNED_IMAGE.fullmatch(container(name)["image"])


@workloads
def test_variables_have_the_names_that_programs_read(name: str) -> None:
    plain = {variable["name"] for variable in container(name).get("env", [])} - {"POD_NAME"}
    if name in CLIENTS:
        names = set(SECRETS["lzn-client"]) | set(objects("ConfigMap")["lzn-client"]["data"])
        assert names == CLIENT_VARIABLES
        assert {"configMapRef": {"name": "lzn-client"}} in container(name)["envFrom"], (
            "the half that is no secret"
        )
        assert all(variable.startswith(OF_THE_WORKER_OF_JOBS) for variable in plain)
    else:
        from_secrets = [SECRETS[source["secretRef"]["name"]] for source in container(name).get("envFrom", [])]
        assert plain.union(*from_secrets) <= SERVER_VARIABLES


@workloads
def test_no_secret_stands_in_a_manifest(name: str) -> None:
    for variable in container(name).get("env", []):
        is_reference = variable["name"].endswith(("_FILE", "_SECRET_NAME", "_SECRET_KEY"))
        assert is_reference or not SECRET_NAME.search(variable["name"]), variable["name"]


@workloads
def test_selectors_find_their_own_pods_and_no_others(name: str) -> None:
    if WORKLOADS[name]["kind"] == "Job":
        return  # Kubernetes makes its selector
    selector = WORKLOADS[name]["spec"]["selector"]
    assert [other for other in WORKLOADS if matches(selector, pod_labels(other))] == [name]


@pytest.mark.parametrize("name", objects("Service"))
def test_services_lead_to_a_named_port_of_one_workload(name: str) -> None:
    spec = objects("Service")[name]["spec"]
    [target] = [other for other in WORKLOADS if matches({"matchLabels": spec["selector"]}, pod_labels(other))]
    [port] = spec["ports"]
    assert {"name": port["targetPort"], "containerPort": port["port"]} in container(target)["ports"]


@pytest.mark.parametrize("name", objects("NetworkPolicy"))
def test_network_policies_speak_of_pods_that_exist(name: str) -> None:
    for value in values_below(objects("NetworkPolicy")[name]["spec"]):
        if isinstance(value, dict) and value.get("podSelector"):
            assert any(matches(value["podSelector"], pod_labels(other)) for other in WORKLOADS)


def test_the_database_lets_in_the_servers_and_no_worker() -> None:
    [rule] = objects("NetworkPolicy")["postgres"]["spec"]["ingress"]
    [peer] = rule["from"]
    let_in = {name for name in WORKLOADS if matches(peer["podSelector"], pod_labels(name))}
    assert let_in == {"mlflow", "prefect", "provision"}


@workloads
def test_what_runs_on_has_probes(name: str) -> None:
    probes = {"startupProbe", "livenessProbe", "readinessProbe"}
    assert (probes & set(container(name))) == (set() if WORKLOADS[name]["kind"] == "Job" else probes)


@workloads
def test_pods_run_as_nobody_in_particular(name: str) -> None:
    of_pod, of_container = pod(name)["securityContext"], container(name)["securityContext"]

    assert of_pod["runAsNonRoot"] is True
    assert of_pod["runAsUser"] > 0
    assert of_pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert of_container["allowPrivilegeEscalation"] is False
    assert of_container["capabilities"] == {"drop": ["ALL"]}


@workloads
def test_only_the_worker_of_jobs_can_speak_to_kubernetes(name: str) -> None:
    assert pod(name)["automountServiceAccountToken"] is (name == "worker-gpu-jobs")


@workloads
def test_services_are_not_announced_as_variables_that_servers_read_as_settings(name: str) -> None:
    assert pod(name)["enableServiceLinks"] is False


@workloads
def test_resources_are_requested_and_memory_is_limited(name: str) -> None:
    resources = container(name)["resources"]
    assert {"cpu", "memory"} <= set(resources["requests"])
    assert "memory" in resources["limits"]


@pytest.mark.parametrize("name", ["worker-control", "worker-cpu", "worker-gpu"])
def test_a_worker_has_more_time_to_end_than_its_trainings_have(name: str) -> None:
    arguments = container(name)["args"]
    assert arguments[:3] == ["python", "-m", "infra.worker"]
    grace = float(arguments[arguments.index("--grace-seconds") + 1])
    assert pod(name)["terminationGracePeriodSeconds"] >= grace + 15


def test_gpus_are_limits_of_gpu_workers_alone() -> None:
    with_gpus = {name for name in WORKLOADS if "nvidia.com/gpu" in container(name)["resources"]["limits"]}
    assert with_gpus == {"worker-gpu"}


def test_state_can_be_shared_by_pods_on_many_nodes() -> None:
    assert objects("PersistentVolumeClaim")["lzn-state"]["spec"]["accessModes"] == ["ReadWriteMany"]


def test_the_worker_of_jobs_may_do_what_it_does_and_no_more() -> None:
    [role] = objects("Role").values()
    rights = {resource: set(rule["verbs"]) for rule in role["rules"] for resource in rule["resources"]}
    assert rights == {
        "jobs": {"create", "delete", "get", "list", "watch"},
        "pods": {"get", "list", "watch"},
        "pods/log": {"get"},
    }
    [binding] = objects("RoleBinding").values()
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "lzn-worker", "namespace": "lzn"}]


def test_compose_and_kubernetes_run_the_same_servers() -> None:
    composed = read_yaml(INFRA / "compose.yaml")["services"]
    for name in ("postgres", "s3"):
        assert container(name)["image"] == composed[name]["image"]
    flags = {flag for flag in container("s3")["args"] if "s3.config" not in flag and flag != "server"}
    assert flags <= set(composed["s3"]["command"][0].split())
