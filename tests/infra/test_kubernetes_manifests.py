"""The Kubernetes manifests are valid, and their references to secrets, volumes, ports and pods have a target."""

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
JOBS_WORKER_PREFIX = "PREFECT_INTEGRATIONS_KUBERNETES_"

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


def referenced_secrets(item: Any) -> Iterator[str]:
    for value in values_below(item):
        if isinstance(value, dict):
            for reference in ("secretRef", "secretKeyRef"):
                if reference in value:
                    yield value[reference]["name"]
            if "secretName" in value:
                yield value["secretName"]


def matches(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    by_labels = all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
    by_expressions = all(
        labels.get(one["key"]) in one["values"] for one in selector.get("matchExpressions", [])
    )
    return by_labels and by_expressions


@pytest.mark.parametrize("folder", KUSTOMIZATIONS, ids=lambda folder: folder.name)
def test_manifests_are_valid_and_so_are_those_that_kubectl_builds(folder: Any) -> None:
    """Without kubectl, only the files are checked; `make validate-infra` says so."""
    files, built = read_manifests(folder), kustomized(folder)
    check_manifests(files, folder.name)
    assert built is None or len(built) >= len(files)
    check_manifests(built or [], f"{folder.name}, built")


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
def test_referenced_secrets_are_made_by_the_documented_command(name: str) -> None:
    assert set(referenced_secrets(WORKLOADS[name])) <= set(SECRETS)


def test_every_secret_is_used_and_none_is_committed() -> None:
    assert set(referenced_secrets(MANIFESTS)) == set(SECRETS)
    assert not objects("Secret")


@workloads
def test_referenced_config_maps_claims_and_accounts_exist(name: str) -> None:
    for value in values_below(pod(name)):
        if isinstance(value, dict) and "configMapRef" in value:
            assert value["configMapRef"]["name"] in objects("ConfigMap")
        if isinstance(value, dict) and "persistentVolumeClaim" in value:
            assert value["persistentVolumeClaim"]["claimName"] in objects("PersistentVolumeClaim")
    assert pod(name).get("serviceAccountName", "lzn-worker") in objects("ServiceAccount")


@workloads
def test_a_pod_mounts_exactly_its_volumes(name: str) -> None:
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
            "the variables that are not secret"
        )
        assert all(variable.startswith(JOBS_WORKER_PREFIX) for variable in plain)
    else:
        from_secrets = [SECRETS[source["secretRef"]["name"]] for source in container(name).get("envFrom", [])]
        assert plain.union(*from_secrets) <= SERVER_VARIABLES


@workloads
def test_no_manifest_contains_a_secret(name: str) -> None:
    for variable in container(name).get("env", []):
        is_reference = variable["name"].endswith(("_FILE", "_SECRET_NAME", "_SECRET_KEY"))
        assert is_reference or not SECRET_NAME.search(variable["name"]), variable["name"]


@workloads
def test_a_selector_matches_only_its_own_pods(name: str) -> None:
    if WORKLOADS[name]["kind"] == "Job":
        return  # Kubernetes generates its selector
    selector = WORKLOADS[name]["spec"]["selector"]
    assert [other for other in WORKLOADS if matches(selector, pod_labels(other))] == [name]


@pytest.mark.parametrize("name", objects("Service"))
def test_a_service_targets_a_named_port_of_one_workload(name: str) -> None:
    spec = objects("Service")[name]["spec"]
    [target] = [other for other in WORKLOADS if matches({"matchLabels": spec["selector"]}, pod_labels(other))]
    [port] = spec["ports"]
    assert {"name": port["targetPort"], "containerPort": port["port"]} in container(target)["ports"]


@pytest.mark.parametrize("name", objects("NetworkPolicy"))
def test_network_policies_select_pods_that_exist(name: str) -> None:
    for value in values_below(objects("NetworkPolicy")[name]["spec"]):
        if isinstance(value, dict) and value.get("podSelector"):
            assert any(matches(value["podSelector"], pod_labels(other)) for other in WORKLOADS)


def test_the_database_accepts_connections_from_servers_and_not_from_workers() -> None:
    [rule] = objects("NetworkPolicy")["postgres"]["spec"]["ingress"]
    [peer] = rule["from"]
    accepted = {name for name in WORKLOADS if matches(peer["podSelector"], pod_labels(name))}
    assert accepted == {"mlflow", "prefect", "provision"}


@workloads
def test_permanent_workloads_have_probes(name: str) -> None:
    probes = {"startupProbe", "livenessProbe", "readinessProbe"}
    assert (probes & set(container(name))) == (set() if WORKLOADS[name]["kind"] == "Job" else probes)


@workloads
def test_pods_run_without_privileges(name: str) -> None:
    pod_context, container_context = pod(name)["securityContext"], container(name)["securityContext"]

    assert pod_context["runAsNonRoot"] is True
    assert pod_context["runAsUser"] > 0
    assert pod_context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container_context["allowPrivilegeEscalation"] is False
    assert container_context["capabilities"] == {"drop": ["ALL"]}


@workloads
def test_only_the_worker_for_jobs_has_a_token_for_kubernetes(name: str) -> None:
    assert pod(name)["automountServiceAccountToken"] is (name == "worker-gpu-jobs")


@workloads
def test_kubernetes_sets_no_service_variables_that_servers_read_as_settings(name: str) -> None:
    assert pod(name)["enableServiceLinks"] is False


@workloads
def test_resources_are_requested_and_memory_is_limited(name: str) -> None:
    resources = container(name)["resources"]
    assert {"cpu", "memory"} <= set(resources["requests"])
    assert "memory" in resources["limits"]


@pytest.mark.parametrize("name", ["worker-control", "worker-cpu", "worker-gpu"])
def test_a_worker_has_more_time_to_stop_than_its_trainings(name: str) -> None:
    arguments = container(name)["args"]
    assert arguments[:3] == ["python", "-m", "infra.worker"]
    grace = float(arguments[arguments.index("--grace-seconds") + 1])
    assert pod(name)["terminationGracePeriodSeconds"] >= grace + 15


def test_only_gpu_workers_request_gpus() -> None:
    with_gpus = {name for name in WORKLOADS if "nvidia.com/gpu" in container(name)["resources"]["limits"]}
    assert with_gpus == {"worker-gpu"}


def test_pods_on_many_nodes_can_share_the_state() -> None:
    assert objects("PersistentVolumeClaim")["lzn-state"]["spec"]["accessModes"] == ["ReadWriteMany"]


def test_the_worker_for_jobs_has_only_the_rights_that_it_needs() -> None:
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
