"""Rules of least privilege for compose.yaml, the manifests and the image, checked by `make validate-infra`.

- Workers and clients are ordinary users of MLflow.
- The image's build context and the mounts of containers contain no file with passwords.
- Images have a version, and Python packages have hashes.
- Workers reach the servers only; the exceptions have a label.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import ip_network
from pathlib import Path, PurePosixPath
from typing import Any, Final

from infra.make_env import MLFLOW_ADMIN

PROJECT: Final = Path(__file__).resolve().parents[1]
SECRETS: Final = ("infra/.env", "infra/.secrets", ".stack")
"""Files and folders of the project with passwords."""
EGRESS_LABEL: Final = "lzn.egress"
KUBERNETES_EGRESS_LABEL: Final = "lzn-egress"
_SECRET_FILES: Final = (
    *(".env", "infra/.env", "infra/.env.old", "infra/.secrets/s3.json"),
    *(".stack/env", ".stack/secrets", "infra/.stack/secrets", "pipelines/.env"),
)
_VERSION: Final = re.compile(r"[\w./-]+:(?!latest)[\w.-]*\d+\.\d+[\w.-]*(@sha256:[0-9a-f]{64})?")
_API_PORTS: Final = {443, 6443}


class PrivilegeError(ValueError):
    """A container, pod or image has more rights or contents than it needs. The message says which."""


def check_context(dockerignore: str) -> None:
    """Check that no file with passwords is sent to the image's builder. Raises PrivilegeError."""
    patterns = [line.strip() for line in dockerignore.splitlines()]
    rules = [pattern for pattern in patterns if pattern and not pattern.startswith("#")]
    if sent := [file for file in _SECRET_FILES if not _is_excluded(file, rules)]:
        raise PrivilegeError(
            f"the build context of the image contains {', '.join(sent)}: exclude it in .dockerignore"
        )


def check_compose(compose: Mapping[str, Any]) -> None:
    """Check users, mounts and networks of the services of a compose file. Raises PrivilegeError."""
    services: Mapping[str, Mapping[str, Any]] = compose["services"]
    inner = {
        name for name, network in (compose.get("networks") or {}).items() if (network or {}).get("internal")
    }
    admin = services["mlflow"]["environment"]["MLFLOW_AUTH_ADMIN_PASSWORD"]
    for name, service in services.items():
        for secret in _mounted_secrets(service):
            raise PrivilegeError(f"the service {name} mounts {secret}, which has passwords")
        if not _is_client(service.get("environment") or {}):
            continue
        _require_ordinary_user(name, service["environment"], admin)
        outside = set(service.get("networks") or ["default"]) - inner
        if outside and EGRESS_LABEL not in (service.get("labels") or {}):
            raise PrivilegeError(
                f"the service {name} reaches the outside through the network {', '.join(sorted(outside))}: remove it, "
                f"or give the service the label {EGRESS_LABEL}"
            )


def check_kubernetes(
    manifests: Sequence[Mapping[str, Any]], secrets: Mapping[str, Mapping[str, str]]
) -> None:
    """Check users and network policies of the pods of clients. Raises PrivilegeError.

    Args:
        manifests: all objects.
        secrets: the contents of the Secrets, by name.
    """
    admin = secrets["lzn-mlflow"]["MLFLOW_AUTH_ADMIN_PASSWORD"]
    policies = [item for item in manifests if item["kind"] == "NetworkPolicy"]
    if not any(policy["spec"]["podSelector"] == {} and "egress" not in policy["spec"] for policy in policies):
        raise PrivilegeError("no network policy closes all connections that others do not open")
    for item in manifests:
        template = item.get("spec", {}).get("template")
        if template is None or "lzn-client" not in template["metadata"]["labels"]:
            continue
        name, labels = item["metadata"]["name"], template["metadata"]["labels"]
        for container in template["spec"]["containers"]:
            for source in container.get("envFrom", []):
                if "secretRef" in source:
                    _require_ordinary_user(name, secrets[source["secretRef"]["name"]], admin)
        asks_kubernetes = bool(template["spec"].get("automountServiceAccountToken"))
        for policy in policies:
            if not _selects(policy["spec"]["podSelector"], labels):
                continue
            for rule in policy["spec"].get("egress", []):
                if _is_wide(rule, asks_kubernetes=asks_kubernetes) and KUBERNETES_EGRESS_LABEL not in labels:
                    raise PrivilegeError(
                        f"the policy {policy['metadata']['name']} lets {name} reach the outside: name pods or one "
                        f"address, or give the pod the label {KUBERNETES_EGRESS_LABEL}"
                    )


def check_images(images: Iterable[str]) -> None:
    """Check that images have a version of two numbers or more, and perhaps a digest. Raises PrivilegeError."""
    for image in images:
        if not _VERSION.fullmatch(image):
            raise PrivilegeError(
                f"the image {image} has no exact version: set one with python -m infra.image.pins {image}:VERSION"
            )


def check_installations(dockerfile: str) -> None:
    """Check that the image installs Python packages by hashes only. Raises PrivilegeError."""
    lines = dockerfile.replace("\\\n", " ").splitlines()
    installs = [
        part
        for line in lines
        if line.startswith("RUN ")
        for part in re.split(r"&&|;", line)
        if re.search(r"\bpip3? +install\b", part)
    ]
    for install in installs:
        if "--require-hashes" not in install:
            raise PrivilegeError(
                f"the Dockerfile installs without --require-hashes: {' '.join(install.split())}"
            )


def check_requirements(requirements: str, *, where: str) -> None:
    """Check that each requirement is an exact version with hashes. Raises PrivilegeError."""
    for entry in requirements.replace("\\\n", " ").splitlines():
        is_comment = not entry.strip() or entry.startswith("#")
        if not is_comment and not re.match(r"[\w.-]+==\S+.* --hash=sha256:[0-9a-f]{64}", entry):
            raise PrivilegeError(
                f"{where}: {entry.split()[0]} has no exact version or no hash: run make lock"
            )


def _is_client(environment: Mapping[str, str]) -> bool:
    return "LZN_REPOSITORY" in environment


def _require_ordinary_user(name: str, environment: Mapping[str, str], admin_password: str) -> None:
    user, password = (environment.get(f"MLFLOW_TRACKING_{key}") for key in ("USERNAME", "PASSWORD"))
    has_admin = any(key.startswith("MLFLOW_AUTH_ADMIN_") for key in environment)
    if has_admin or user == MLFLOW_ADMIN or password == admin_password:
        raise PrivilegeError(
            f"{name} is an administrator of MLflow: give it the user of workers (infra/make_env.py)"
        )


def _mounted_secrets(service: Mapping[str, Any]) -> Iterator[str]:
    for volume in service.get("volumes") or []:
        source = volume["source"] if isinstance(volume, Mapping) else volume.split(":")[0]
        if not source.startswith((".", "/")):
            continue  # a named volume
        mounted = (PROJECT / "infra" / source).resolve()
        for secret in SECRETS:
            place = PROJECT / secret
            if place.is_relative_to(mounted) or mounted.is_relative_to(place):
                yield secret


def _is_excluded(path: str, patterns: Iterable[str]) -> bool:
    """Return whether a .dockerignore excludes a path: the last pattern that matches it or a folder above decides."""
    excluded = False
    candidates = [path, *map(str, PurePosixPath(path).parents)][:-1]
    for pattern in patterns:
        body = re.escape(pattern.removeprefix("!").strip("/"))
        expression = body.replace(r"\*\*/", "(?:.*/)?").replace(r"\*\*", ".*").replace(r"\*", "[^/]*")
        if any(re.fullmatch(expression, candidate) for candidate in candidates):
            excluded = not pattern.startswith("!")
    return excluded


def _selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    by_labels = all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
    expressions = selector.get("matchExpressions", [])
    return by_labels and all(labels.get(one["key"]) in one["values"] for one in expressions)


def _is_wide(rule: Mapping[str, Any], *, asks_kubernetes: bool) -> bool:
    """Return whether a rule allows more than pods, single addresses, and Kubernetes' ports for its client."""
    peers = rule.get("to")
    if not peers:
        ports = {port["port"] for port in rule.get("ports", [])}
        return not (asks_kubernetes and ports and ports <= _API_PORTS)
    return any("ipBlock" in peer and ip_network(peer["ipBlock"]["cidr"]).num_addresses > 1 for peer in peers)
