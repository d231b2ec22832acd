"""Check compose.yaml, the manifests and the image without a container engine or cluster: `make validate-infra`.

Compose itself (`docker compose`, or Compose 1.29 as `docker-compose`) reads compose.yaml. The manifests are checked
against the schemas of one Kubernetes version, and also as kustomize builds them if `kubectl` is installed. The rules of
`infra.least_privilege` are checked in all of them.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import kubernetes_validate
import yaml

from infra import least_privilege
from infra.image.pins import named_images
from infra.make_env import Passwords, write

INFRA: Final = Path(__file__).resolve().parent
KUBERNETES_VERSION: Final = "1.34"
KUSTOMIZATIONS: Final = (INFRA / "kubernetes", INFRA / "kubernetes-jobs")


class InvalidError(RuntimeError):
    """A file is invalid or a tool is missing; the message says which."""


def compose_command() -> list[str]:
    """Return the command of Compose 2, else of Compose 1. Raises InvalidError if neither is installed."""
    if shutil.which("docker"):
        probe = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
        if probe.returncode == 0:
            return ["docker", "compose"]
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    raise InvalidError(
        "Compose is not installed: install Docker's docker-compose-plugin, or on Debian run "
        "`apt-get install --no-install-recommends docker-compose`"
    )


def compose_config(env_file: Path) -> subprocess.CompletedProcess[str]:
    """Let Compose read compose.yaml with the variables of a file and no others."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    command = [
        *compose_command(),
        "--env-file",
        str(env_file),
        "--file",
        str(INFRA / "compose.yaml"),
        "config",
    ]
    environment = {**kept, "COMPOSE_PROFILES": "gpu"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def read_manifests(folder: Path) -> list[dict[str, Any]]:
    """Return the objects in a folder's manifests, without its kustomization and patches.

    Raises InvalidError if a file is not YAML.
    """
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    names = [name for name in kustomization["resources"] if name.endswith(".yaml")]
    try:
        return [item for name in names for item in yaml.safe_load_all((folder / name).read_text()) if item]
    except yaml.YAMLError as error:
        raise InvalidError(f"{folder}: {error}") from error


def check_manifests(manifests: Sequence[Mapping[str, Any]], where: str) -> None:
    """Check objects against the schemas; unknown fields are errors. Raises InvalidError with the object's name."""
    for item in manifests:
        try:
            kubernetes_validate.validate(item, KUBERNETES_VERSION, strict=True)
        except kubernetes_validate.ValidationError as error:
            name = f"{item.get('kind')} {item.get('metadata', {}).get('name')}"
            raise InvalidError(f"{where}: {name}: {error.message} at {list(error.path)}") from error


def kustomized(folder: Path) -> list[dict[str, Any]] | None:
    """Return the objects that `kubectl kustomize` builds, or None without kubectl. Raises InvalidError if it fails."""
    if shutil.which("kubectl") is None:
        return None
    built = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=False)
    if built.returncode:
        raise InvalidError(f"{folder.name}: {built.stderr.strip()}")
    return [item for item in yaml.safe_load_all(built.stdout) if item]


def check_privileges() -> None:
    """Check the rules of `infra.least_privilege` in all files. Raises PrivilegeError."""
    least_privilege.check_context((INFRA.parent / ".dockerignore").read_text())
    least_privilege.check_compose(yaml.safe_load((INFRA / "compose.yaml").read_text()))
    manifests = [item for folder in KUSTOMIZATIONS for item in read_manifests(folder)]
    least_privilege.check_kubernetes(manifests, Passwords().kubernetes_secrets())
    least_privilege.check_images(named_images())
    least_privilege.check_installations((INFRA / "Dockerfile").read_text())
    for file in sorted((INFRA / "image").glob("requirements*.txt")):
        least_privilege.check_requirements(file.read_text(), where=file.name)


def main() -> int:
    """Check all files and print what was checked. Return 1 at the first error."""
    try:
        check_privileges()
        print("Users, mounts, networks, images and packages follow the rules of least privilege")
        _check_compose()
        for folder in KUSTOMIZATIONS:
            manifests = read_manifests(folder)
            check_manifests(manifests, folder.name)
            print(f"{folder.name}: {len(manifests)} objects are valid for Kubernetes {KUBERNETES_VERSION}")
            built = kustomized(folder)
            if built is None:
                print(f"{folder.name}: not built, because kubectl is not installed")
            else:
                check_manifests(built, f"{folder.name}, built")
                print(f"{folder.name}: {len(built)} objects after kustomize are valid")
    except (InvalidError, least_privilege.PrivilegeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _check_compose() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "empty").touch()
        without = compose_config(folder / "empty")
        if without.returncode == 0 or "infra/make_env.py" not in without.stderr:
            raise InvalidError(
                f"without passwords, compose.yaml must name infra/make_env.py in its error: {without.stderr.strip()}"
            )
        write(Passwords(), folder)
        complete = compose_config(folder / ".env")
        if complete.returncode:
            raise InvalidError(f"compose.yaml: {complete.stderr.strip()}")
        services = yaml.safe_load(complete.stdout)["services"]
    print(f"compose.yaml: {len(services)} services are valid for {' '.join(compose_command())}")


if __name__ == "__main__":
    sys.exit(main())
