"""What a machine of the cluster is told through its environment."""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit


class SettingsError(ValueError):
    """The environment lacks something; the message names the variable."""


@dataclass(frozen=True)
class ClusterSettings:
    """Where commits, files and state of this machine are.

    repository: git URL or folder from which commits are fetched (LZN_REPOSITORY).
    remote: URL of the DVC remote that all machines share (LZN_DVC_REMOTE), `s3://bucket/prefix` or a folder.
    work: this machine's folder: mirror of the repository, checkouts, DVC's cache (LZN_WORK).
    shared_state: checkpoints, unfinished preparations, locks, what MLflow has not taken yet. Machines that share it
        (LZN_SHARED_STATE on a common file system) continue each other's work; by default it is in `work`.
    """

    repository: str
    remote: str
    work: Path
    shared_state: Path

    @staticmethod
    def from_environment(environment: Mapping[str, str] = os.environ) -> "ClusterSettings":
        """Read the settings.

        Raises SettingsError if a variable is missing or a folder among them is a relative path.
        """
        repository = _required(environment, "LZN_REPOSITORY", "the git URL or folder to take commits from")
        remote = _required(
            environment, "LZN_DVC_REMOTE", "the URL of the DVC remote, such as s3://bucket/prefix"
        )
        work = _folder(environment, "LZN_WORK", Path(tempfile.gettempdir()) / f"lzn-{os.getuid()}")
        shared_state = _folder(environment, "LZN_SHARED_STATE", work / "state")
        return ClusterSettings(repository=repository, remote=remote, work=work, shared_state=shared_state)


def without_credentials(url: str) -> str:
    """The URL as it may be logged: without user name and password."""
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _required(environment: Mapping[str, str], name: str, meaning: str) -> str:
    value = environment.get(name, "")
    if not value:
        raise SettingsError(f"{name} is not set: {meaning}; workers need it, see infra/README.md")
    return value


def _folder(environment: Mapping[str, str], name: str, default: Path) -> Path:
    path = Path(environment.get(name) or default)
    if not path.is_absolute():
        raise SettingsError(f"{name} must be an absolute path, got {path}")
    return path
