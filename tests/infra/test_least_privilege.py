"""The rules of least privilege hold for all files, and each is violated by the mistake that it is for."""

import copy
import subprocess
from pathlib import Path
from typing import Any

import pytest
from lzn_testing.servers.infra_files import INFRA, PROJECT, read_yaml

from infra import least_privilege
from infra.least_privilege import PrivilegeError
from infra.make_env import Passwords
from infra.validate import KUSTOMIZATIONS, check_privileges, read_manifests

SECRETS = Passwords().kubernetes_secrets()


@pytest.fixture
def compose() -> Any:
    return copy.deepcopy(read_yaml(INFRA / "compose.yaml"))


@pytest.fixture
def manifests() -> list[dict[str, Any]]:
    return [item for folder in KUSTOMIZATIONS for item in read_manifests(folder)]


def named(manifests: list[dict[str, Any]], name: str, kind: str = "Deployment") -> dict[str, Any]:
    [found] = [item for item in manifests if (item["metadata"]["name"], item["kind"]) == (name, kind)]
    return found


def test_the_files_of_the_project_follow_the_rules() -> None:
    check_privileges()


@pytest.mark.parametrize("line", ["**/.env", "**/.secrets", "**/.stack"])
def test_a_build_context_with_passwords_is_found(line: str) -> None:
    lines = (PROJECT / ".dockerignore").read_text().splitlines()
    lines.remove(line)
    with pytest.raises(PrivilegeError, match=r"build context of the image contains .*\.dockerignore"):
        least_privilege.check_context("\n".join(lines))


def test_a_later_inclusion_is_found() -> None:
    text = (PROJECT / ".dockerignore").read_text()
    with pytest.raises(PrivilegeError, match=r"contains infra/\.secrets/s3\.json"):
        least_privilege.check_context(f"{text}\n!infra/.secrets\n")


@pytest.mark.parametrize(
    "mount", ["..:/repository:ro", ".:/infra", "../.stack:/stack:ro", ".env:/env:ro", "./:/x"]
)
def test_a_mount_with_passwords_is_found(compose: Any, mount: str) -> None:
    compose["services"]["worker-gpu"]["volumes"].append(mount)
    with pytest.raises(PrivilegeError, match=r"the service worker-\w+ mounts (infra/\.|\.stack)"):
        least_privilege.check_compose(compose)


def test_commits_are_fetched_from_the_mounted_folder_alone(tmp_path: Path) -> None:
    """Git reads /repository although only /repository/.git is mounted."""
    project = tmp_path / "project"
    who = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    subprocess.run(["git", "init", "--quiet", "--initial-branch", "main", str(project)], check=True)
    commit = ["git", *who, "commit", "--quiet", "--allow-empty", "--message", "x"]
    subprocess.run(commit, cwd=project, check=True)
    mounted = tmp_path / "repository"
    mounted.mkdir()
    (project / ".git").rename(mounted / ".git")
    listed = subprocess.run(
        ["git", "ls-remote", "--heads", str(mounted)], check=True, capture_output=True, text=True
    )
    assert listed.stdout.rstrip().endswith("refs/heads/main")


def test_a_worker_that_is_administrator_of_mlflow_is_found(compose: Any) -> None:
    environment = compose["services"]["worker-cpu"]["environment"]
    admin = compose["services"]["mlflow"]["environment"]["MLFLOW_AUTH_ADMIN_PASSWORD"]
    compose["services"]["worker-cpu"]["environment"] = {**environment, "MLFLOW_TRACKING_PASSWORD": admin}
    with pytest.raises(PrivilegeError, match="worker-cpu is an administrator of MLflow"):
        least_privilege.check_compose(compose)


def test_a_pod_that_is_administrator_of_mlflow_is_found(manifests: list[dict[str, Any]]) -> None:
    client, admin = SECRETS["lzn-client"], SECRETS["lzn-mlflow"]["MLFLOW_AUTH_ADMIN_PASSWORD"]
    secrets = {**SECRETS, "lzn-client": {**client, "MLFLOW_TRACKING_PASSWORD": admin}}
    with pytest.raises(PrivilegeError, match="is an administrator of MLflow"):
        least_privilege.check_kubernetes(manifests, secrets)


def test_the_generated_user_is_not_the_administrator() -> None:
    client, server = SECRETS["lzn-client"], SECRETS["lzn-mlflow"]
    assert client["MLFLOW_TRACKING_USERNAME"] != server["MLFLOW_AUTH_ADMIN_USERNAME"]
    assert client["MLFLOW_TRACKING_PASSWORD"] != server["MLFLOW_AUTH_ADMIN_PASSWORD"]


@pytest.mark.parametrize("networks", [["servers", "outside"], ["published"], None])
def test_a_worker_with_a_way_to_the_outside_is_found(compose: Any, networks: list[str] | None) -> None:
    compose["services"]["worker-gpu"]["networks"] = networks
    with pytest.raises(PrivilegeError, match=r"worker-gpu reaches the outside .* label lzn\.egress"):
        least_privilege.check_compose(compose)


def test_a_network_that_is_not_internal_is_found(compose: Any) -> None:
    compose["networks"]["servers"] = {}
    with pytest.raises(PrivilegeError, match="reaches the outside through the network servers"):
        least_privilege.check_compose(compose)


@pytest.mark.parametrize(
    "rule", [{}, {"ports": [{"port": 443}]}, {"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]},
             {"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}, {"to": [{"ipBlock": {"cidr": "::/0"}}]}],
)  # fmt: skip
def test_a_policy_that_opens_the_outside_for_workers_is_found(
    manifests: list[dict[str, Any]], rule: dict[str, Any]
) -> None:
    named(manifests, "clients-to-servers", "NetworkPolicy")["spec"]["egress"] = [rule]
    with pytest.raises(PrivilegeError, match=r"policy clients-to-servers lets \S+ reach the outside"):
        least_privilege.check_kubernetes(manifests, SECRETS)


def test_a_worker_without_the_label_for_data_sources_has_no_way_to_them(
    manifests: list[dict[str, Any]],
) -> None:
    policy = named(manifests, "to-data-sources", "NetworkPolicy")
    policy["spec"]["podSelector"] = {"matchLabels": {"lzn-client": "true"}}
    with pytest.raises(PrivilegeError, match=r"policy to-data-sources lets \S+ reach"):
        least_privilege.check_kubernetes(manifests, SECRETS)


def test_policies_without_one_that_closes_all_other_connections_are_found(
    manifests: list[dict[str, Any]],
) -> None:
    manifests.remove(named(manifests, "deny-all", "NetworkPolicy"))
    with pytest.raises(PrivilegeError, match="no network policy closes all connections"):
        least_privilege.check_kubernetes(manifests, SECRETS)


@pytest.mark.parametrize("image", ["postgres:latest", "postgres:15", "postgres:bookworm", "python:3-slim"])
def test_an_image_without_an_exact_version_is_found(image: str) -> None:
    with pytest.raises(PrivilegeError, match=rf"the image {image} has no exact version"):
        least_privilege.check_images([image])


def test_an_image_with_a_digest_is_accepted() -> None:
    least_privilege.check_images([f"postgres:15.14-bookworm@sha256:{'0' * 64}"])


@pytest.mark.parametrize(
    "line", ["RUN pip install x==1", "RUN a \\\n && /opt/venv/bin/pip install 'pip>=25'"]
)
def test_an_installation_without_hashes_is_found(line: str) -> None:
    with pytest.raises(PrivilegeError, match=r"installs without --require-hashes: .*pip install"):
        least_privilege.check_installations(f"FROM base\n{line}\n")


@pytest.mark.parametrize("entry", ["numpy==2.0", "numpy>=2 \\\n    --hash=sha256:" + "0" * 64, "numpy"])
def test_a_requirement_without_version_or_hash_is_found(entry: str) -> None:
    with pytest.raises(PrivilegeError, match=r"requirements\.txt: numpy.* run make lock"):
        least_privilege.check_requirements(f"# comment\n{entry}\n", where="requirements.txt")
