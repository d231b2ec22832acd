"""Checkouts of commits on a machine, in which DVC uses the machine's cache and the cluster's remote."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dvc.repo import Repo
from filelock import FileLock, Timeout

from pipelines.cluster.worker.commits import CommitError, git, mirror_with, reason_of
from pipelines.cluster.worker.private_folder import make_private
from pipelines.cluster.worker.settings import ClusterSettings
from pipelines.sizes import switch_size

REMOTE_NAME = "cluster"
STATE_FOLDERS = (".checkpoints", ".downloads", ".features", ".mlflow-outbox", ".prepare", "data")
"""State that stages keep outside of their outputs, and raw data of the machine. They outlive a checkout."""


@contextmanager
def temporary_checkout(commit: str, settings: ClusterSettings) -> Iterator[Path]:
    """Check out a commit into a new folder, and remove the folder after the block.

    Folders of killed processes are removed by the next call.

    Raises:
        CommitError: the repository is not reachable or has no such commit.
    """
    make_private(settings.work)
    parent = settings.work / "checkouts"
    parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(parent)
    folder = Path(tempfile.mkdtemp(prefix=f"{commit[:12]}-", dir=parent))
    with FileLock(folder.with_suffix(".lock")):
        try:
            _check_out(commit, folder, settings)
            configure_dvc(folder, settings)
            link_state_folders(folder, settings)
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            folder.with_suffix(".lock").unlink(missing_ok=True)


@contextmanager
def size_checkout(commit: str, size: str, settings: ClusterSettings) -> Iterator[None]:
    """Make a temporary checkout the current folder, with the parameters of a size and without dvc.lock.

    Open DVC's repository inside the block: it reads params.yaml.

    Raises:
        CommitError: as `temporary_checkout`.
        UnknownSizeError, ParamsError: as `switch_size`.
    """
    with temporary_checkout(commit, settings) as folder, contextlib.chdir(folder):
        switch_size(size)
        exclude_dvc_lock(folder)
        yield


@contextmanager
def persistent_checkout(commit: str, name: str, settings: ClusterSettings) -> Iterator[Path]:
    """Check out a commit into the folder `name`, which is kept. One process at a time may use it; others wait.

    Edits of committed files in the folder are overwritten.

    Raises:
        CommitError: as `temporary_checkout`.
    """
    make_private(settings.work)
    folder = settings.work / "collected" / name
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        _check_out(commit, folder, settings)
        configure_dvc(folder, settings)
        link_state_folders(folder, settings)
        yield folder


def exclude_dvc_lock(folder: Path) -> None:
    """Remove dvc.lock from a checkout with a sparse checkout, so that git reports no change.

    It is not needed to look up stages or to run one, and DVC takes seconds each time it writes it.
    """
    git(folder, "sparse-checkout", "set", "--no-cone", "/*", "!/dvc.lock")


def configure_dvc(folder: Path, settings: ClusterSettings) -> None:
    """Set the machine's cache and the cluster's remote in DVC's local configuration of a checkout.

    Downloads are verified; by default, DVC does not verify objects of a remote.
    """
    remote: dict[str, object] = {"url": settings.remote, "verify": True}
    if endpoint := _s3_endpoint(settings):
        remote["endpointurl"] = endpoint
    with Repo(str(folder)) as repo, repo.config.edit("local") as config:
        config["core"] = {"remote": REMOTE_NAME, "site_cache_dir": str(folder / ".dvc" / "tmp" / "site")}
        config["cache"] = {"dir": str(settings.work / "cache"), "type": ["reflink", "hardlink", "copy"]}
        config["remote"] = {REMOTE_NAME: remote}


def link_state_folders(folder: Path, settings: ClusterSettings) -> None:
    """Link the state folders of the checkout to the shared state."""
    (folder / ".git" / "info" / "exclude").write_text("".join(f"/{name}\n" for name in STATE_FOLDERS))
    for name in STATE_FOLDERS:
        target = settings.shared_state / name.lstrip(".")
        target.mkdir(parents=True, exist_ok=True)
        link = folder / name
        if not link.is_symlink():
            link.symlink_to(target, target_is_directory=True)


def tracking_environment(settings: ClusterSettings) -> dict[str, str]:
    """Return the variable of an MLflow database outside the checkout; empty if an MLflow server is configured."""
    if os.environ.get("MLFLOW_TRACKING_URI"):
        return {}
    return {"MLFLOW_TRACKING_URI": f"sqlite:///{settings.shared_state / 'mlflow.db'}"}


def _s3_endpoint(settings: ClusterSettings) -> str | None:
    return os.environ.get("AWS_ENDPOINT_URL") if settings.remote.startswith("s3://") else None


def _check_out(commit: str, folder: Path, settings: ClusterSettings) -> None:
    mirror = mirror_with(commit, settings)
    try:
        if not (folder / ".git").exists():
            git(folder, "init", "--quiet")
            alternates = folder / ".git" / "objects" / "info" / "alternates"
            alternates.write_text(f"{mirror / 'objects'}\n", encoding="utf-8")
        git(folder, "checkout", "--quiet", "--force", "--detach", commit)
    except subprocess.CalledProcessError as error:
        raise CommitError(f"cannot check out {commit} in {folder}: {reason_of(error)}") from error


def _remove_abandoned(parent: Path) -> None:
    """Remove checkouts whose process has ended, which has released its lock."""
    for lock_file in parent.glob("*.lock"):
        lock = FileLock(lock_file, timeout=0)
        try:
            with lock:
                shutil.rmtree(lock_file.with_suffix(""), ignore_errors=True)
                lock_file.unlink(missing_ok=True)
        except Timeout:
            continue
