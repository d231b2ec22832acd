"""Check what no engine or cluster is needed for: `make validate-infra`.

compose.yaml by Compose itself (`docker compose`, or Compose 1.29 as `docker-compose`), the Kubernetes manifests against
the schemas of one version, and, where `kubectl` is installed, what its kustomize makes of them.
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

from infra.make_env import Passwords, write

INFRA: Final = Path(__file__).resolve().parent
KUBERNETES_VERSION: Final = "1.34"
KUSTOMIZATIONS: Final = (INFRA / "kubernetes", INFRA / "kubernetes-jobs")


class InvalidError(RuntimeError):
    """A file that its tool refuses, or a tool that is missing; the message says which."""


def compose_command() -> list[str]:
    """The Compose that is installed, 2 before 1. Raises InvalidError, with what to install, if there is none."""
    if shutil.which("docker"):
        probe = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
        if probe.returncode == 0:
            return ["docker", "compose"]
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    raise InvalidError(
        "Compose is not installed: docker-compose-plugin of Docker, or Debian's "
        "`apt-get install --no-install-recommends docker-compose`"
    )


def compose_config(env_file: Path) -> subprocess.CompletedProcess[str]:
    """What Compose makes of compose.yaml with the variables of a file and no others."""
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
    """The objects in a folder's manifests; not its kustomization, nor patches, which are parts of objects.

    Raises InvalidError for what is not YAML.
    """
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    names = [name for name in kustomization["resources"] if name.endswith(".yaml")]
    try:
        return [item for name in names for item in yaml.safe_load_all((folder / name).read_text()) if item]
    except yaml.YAMLError as error:
        raise InvalidError(f"{folder}: {error}") from error


def check_manifests(manifests: Sequence[Mapping[str, Any]], where: str) -> None:
    """Check objects strictly, so that a misspelt field is an error. Raises InvalidError with the object's name."""
    for item in manifests:
        try:
            kubernetes_validate.validate(item, KUBERNETES_VERSION, strict=True)
        except kubernetes_validate.ValidationError as error:
            name = f"{item.get('kind')} {item.get('metadata', {}).get('name')}"
            raise InvalidError(f"{where}: {name}: {error.message} at {list(error.path)}") from error


def kustomized(folder: Path) -> list[dict[str, Any]] | None:
    """What `kubectl kustomize` makes of a folder; None without kubectl. Raises InvalidError where it refuses."""
    if shutil.which("kubectl") is None:
        return None
    built = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=False)
    if built.returncode:
        raise InvalidError(f"{folder.name}: {built.stderr.strip()}")
    return [item for item in yaml.safe_load_all(built.stdout) if item]


def main() -> int:
    """Check everything and print what was checked; 1 with the first error."""
    try:
        _check_compose()
        for folder in KUSTOMIZATIONS:
            manifests = read_manifests(folder)
            check_manifests(manifests, folder.name)
            print(f"{folder.name}: {len(manifests)} objects are valid for Kubernetes {KUBERNETES_VERSION}")
            built = kustomized(folder)
            if built is None:
                print(f"{folder.name}: not built, kubectl is not installed")
            else:
                check_manifests(built, f"{folder.name}, built")
                print(f"{folder.name}: {len(built)} objects after kustomize are valid")
    except InvalidError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _check_compose() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "none").touch()
        refused = compose_config(folder / "none")
        if refused.returncode == 0 or "infra/make_env.py" not in refused.stderr:
            raise InvalidError(
                f"compose.yaml without passwords does not say what to run: {refused.stderr.strip()}"
            )
        write(Passwords(), folder)
        accepted = compose_config(folder / ".env")
        if accepted.returncode:
            raise InvalidError(f"compose.yaml: {accepted.stderr.strip()}")
        services = yaml.safe_load(accepted.stdout)["services"]
    print(f"compose.yaml: {len(services)} services are valid for {' '.join(compose_command())}")


if __name__ == "__main__":
    sys.exit(main())
