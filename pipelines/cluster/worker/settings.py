"""The settings of a machine of the cluster, from environment variables."""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

DEFAULT_BRANCH: Final = "main"


class SettingsError(ValueError):
    """An environment variable is missing or wrong. The message names it."""


@dataclass(frozen=True)
class ClusterSettings:
    """Locations of commits, files and state.

    Attributes:
        repository: git URL or folder from which commits are fetched (LZN_REPOSITORY).
        branches: branches of the repository whose commits may be run (LZN_BRANCHES, with spaces; default: main).
        remote: URL of the DVC remote that all machines share (LZN_DVC_REMOTE): `s3://bucket/prefix` or a folder.
        work: folder of this machine (LZN_WORK) with a mirror of the repository, checkouts and DVC's cache.
        shared_state: checkpoints, unfinished preparations, locks, and records for MLflow. Machines that share it
            (LZN_SHARED_STATE on a common file system) continue each other's work. By default it is in `work`.
    """

    repository: str
    remote: str
    work: Path
    shared_state: Path
    branches: tuple[str, ...] = (DEFAULT_BRANCH,)

    @staticmethod
    def from_environment(environment: Mapping[str, str] = os.environ) -> "ClusterSettings":
        """Read the settings.

        Raises:
            SettingsError: a variable is missing, or a folder is a relative path.
        """
        repository = _required(
            environment, "LZN_REPOSITORY", "the git URL or folder from which commits are fetched"
        )
        remote = _required(
            environment, "LZN_DVC_REMOTE", "the URL of the DVC remote, such as s3://bucket/prefix"
        )
        work = _folder(environment, "LZN_WORK", Path(tempfile.gettempdir()) / f"lzn-{os.getuid()}")
        shared_state = _folder(environment, "LZN_SHARED_STATE", work / "state")
        return ClusterSettings(
            repository=repository,
            remote=remote,
            work=work,
            shared_state=shared_state,
            branches=tuple((environment.get("LZN_BRANCHES") or DEFAULT_BRANCH).split()),
        )


def without_credentials(url: str) -> str:
    """Remove user name and password from a URL, so that it can be logged."""
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _required(environment: Mapping[str, str], name: str, meaning: str) -> str:
    value = environment.get(name, "")
    if not value:
        raise SettingsError(f"{name} is not set: {meaning}; see infra/README.md")
    return value


def _folder(environment: Mapping[str, str], name: str, default: Path) -> Path:
    path = Path(environment.get(name) or default)
    if not path.is_absolute():
        raise SettingsError(f"{name} must be an absolute path, got {path}")
    return path
