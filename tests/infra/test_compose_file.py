"""compose.yaml: ports, health checks, order of starting, secrets and images."""

import re
from typing import Any

import pytest
from lzn_testing.servers.infra_files import (
    CLIENT_VARIABLES,
    INFRA,
    PINNED_IMAGE,
    PROJECT,
    SECRET_NAME,
    SERVER_VARIABLES,
    read_yaml,
)

from infra.make_env import Passwords

COMPOSE = read_yaml(INFRA / "compose.yaml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ONE_SHOTS = {"provision", "mlflow-user", "deploy"}
WORKERS = {name for name in SERVICES if name.startswith("worker-")}
SUBSTITUTION = re.compile(r"\$\{(\w+)(:[?-])?([^}]*)\}")

services = pytest.mark.parametrize("name", SERVICES)


@services
def test_ports_are_published_on_the_loopback_address_only(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


@services
def test_permanent_services_have_a_health_check_and_are_restarted(name: str) -> None:
    service = SERVICES[name]

    assert service["restart"] == ("no" if name in ONE_SHOTS else "unless-stopped")
    assert ("healthcheck" in service) == (name not in ONE_SHOTS)


@services
def test_a_service_starts_after_those_that_it_needs_are_healthy(name: str) -> None:
    for needed, condition in SERVICES[name].get("depends_on", {}).items():
        expected = "service_completed_successfully" if needed in ONE_SHOTS else "service_healthy"
        assert condition == {"condition": expected}, needed


@services
def test_the_image_is_pinned(name: str) -> None:
    image = SERVICES[name]["image"].replace("${TORCH:-cuda}", "cuda")
    assert PINNED_IMAGE.fullmatch(image)


@services
def test_variables_have_the_names_that_programs_read(name: str) -> None:
    variables = set(SERVICES[name].get("environment", {}))
    if name in WORKERS | {"deploy"}:
        assert variables == CLIENT_VARIABLES
    else:
        assert variables <= SERVER_VARIABLES


@services
def test_a_missing_secret_is_an_error_that_names_make_env(name: str) -> None:
    secrets = {
        variable: value
        for variable, value in SERVICES[name].get("environment", {}).items()
        if SECRET_NAME.search(variable) and not variable.endswith("_FILE")
    }
    for variable, value in secrets.items():
        [(_, kind, message)] = SUBSTITUTION.findall(value)
        assert (kind, message) == (":?", "run python infra/make_env.py"), variable


def test_the_generated_variables_are_the_required_ones() -> None:
    found = SUBSTITUTION.findall((INFRA / "compose.yaml").read_text())
    required = {variable for variable, kind, _ in found if kind == ":?"}
    assert required | {"COMPOSE_PROJECT_NAME"} == set(Passwords().compose_variables())


@services
def test_volumes_and_secrets_are_declared_and_folders_exist(name: str) -> None:
    for volume in SERVICES[name].get("volumes", []):
        source = volume.split(":")[0]
        assert (INFRA / source).is_dir() if source.startswith(".") else source in COMPOSE["volumes"]
    assert set(SERVICES[name].get("secrets", [])) <= set(COMPOSE["secrets"])


def test_secret_files_are_excluded_from_git() -> None:
    ignored_by_git = (PROJECT / ".gitignore").read_text().splitlines()

    assert all(secret["file"].startswith(".secrets/") for secret in COMPOSE["secrets"].values())
    assert {"/infra/.env", "/infra/.secrets/"} <= set(ignored_by_git)


@pytest.mark.parametrize("name", sorted(WORKERS))
def test_a_worker_has_more_time_to_stop_than_its_trainings(name: str) -> None:
    command = SERVICES[name]["command"]
    grace = float(command[command.index("--grace-seconds") + 1])
    assert command[:3] == ["python", "-m", "infra.worker"]
    assert float(SERVICES[name]["stop_grace_period"].removesuffix("s")) >= grace + 15


def test_only_gpu_workers_request_gpus() -> None:
    with_devices = {name for name, service in SERVICES.items() if "deploy" in service}
    assert with_devices == {"worker-gpu"} == {name for name in SERVICES if "profiles" in SERVICES[name]}


@services
def test_our_containers_gain_no_privileges(name: str) -> None:
    assert SERVICES[name]["security_opt"] == ["no-new-privileges:true"]
    if SERVICES[name]["image"].startswith("lzn:"):
        assert SERVICES[name]["cap_drop"] == ["ALL"]
