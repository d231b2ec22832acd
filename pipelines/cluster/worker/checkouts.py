"""Checkouts of commits on a machine: each for one stage, with DVC set up to share the machine's cache."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dvc.repo import Repo
from filelock import FileLock, Timeout

from pipelines.cluster.worker.settings import ClusterSettings, without_credentials

REMOTE_NAME = "cluster"
STATE_FOLDERS = (".checkpoints", ".downloads", ".features", ".mlflow-outbox", ".prepare", "data")
"""What stages keep outside of their outputs, and what a machine brings along (raw data): it outlives a checkout."""
_FETCH_SECONDS = 600.0


class CommitError(RuntimeError):
    """A commit cannot be had; the message says why."""


@contextmanager
def temporary_checkout(commit: str, settings: ClusterSettings) -> Iterator[Path]:
    """A fresh checkout of a commit, removed afterwards; what a killed process left is removed by the next.

    Raises CommitError if the repository cannot be reached or has no such commit.
    """
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
def persistent_checkout(commit: str, name: str, settings: ClusterSettings) -> Iterator[Path]:
    """The checkout that is kept under a name, brought to a commit, for one process at a time; others wait.

    Raises CommitError as `temporary_checkout` does.
    """
    folder = settings.work / "collected" / name
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        _check_out(commit, folder, settings)
        configure_dvc(folder, settings)
        link_state_folders(folder, settings)
        yield folder


def resolve_commit(revision: str, settings: ClusterSettings) -> str:
    """The full hash of a branch, tag or commit of the repository.

    Raises CommitError if there is none.
    """
    mirror = _updated_mirror(settings)
    for candidate in (f"refs/heads/{revision}", revision):
        try:
            return _git(mirror, "rev-parse", "--verify", "--quiet", f"{candidate}^{{commit}}")
        except subprocess.CalledProcessError:
            continue
    where = without_credentials(settings.repository)
    raise CommitError(f"{where} has no branch, tag or commit {revision}; was it pushed?")


def exclude_dvc_lock(folder: Path) -> None:
    """Take dvc.lock out of a checkout, without git counting it as a change: it costs DVC seconds at each writing.

    Where stages are only looked up, or one of them is run, it is not needed.
    """
    _git(folder, "sparse-checkout", "set", "--no-cone", "/*", "!/dvc.lock")


def configure_dvc(folder: Path, settings: ClusterSettings) -> None:
    """Point DVC in a checkout to the machine's cache and to the cluster's remote, in its untracked configuration.

    Downloads are verified: DVC by default trusts a remote's objects.
    """
    remote: dict[str, object] = {"url": settings.remote, "verify": True}
    if endpoint := _s3_endpoint(settings):
        remote["endpointurl"] = endpoint
    with Repo(str(folder)) as repo, repo.config.edit("local") as config:
        config["core"] = {"remote": REMOTE_NAME, "site_cache_dir": str(folder / ".dvc" / "tmp" / "site")}
        config["cache"] = {"dir": str(settings.work / "cache"), "type": ["reflink", "hardlink", "copy"]}
        config["remote"] = {REMOTE_NAME: remote}


def link_state_folders(folder: Path, settings: ClusterSettings) -> None:
    """Let the checkout's checkpoints and other state be those of the machine, or of all machines."""
    (folder / ".git" / "info" / "exclude").write_text("".join(f"/{name}\n" for name in STATE_FOLDERS))
    for name in STATE_FOLDERS:
        target = settings.shared_state / name.lstrip(".")
        target.mkdir(parents=True, exist_ok=True)
        link = folder / name
        if not link.is_symlink():
            link.symlink_to(target, target_is_directory=True)


def tracking_environment(settings: ClusterSettings) -> dict[str, str]:
    """Where stages in a checkout that will be removed keep their runs, if no MLflow server is configured."""
    if os.environ.get("MLFLOW_TRACKING_URI"):
        return {}
    return {"MLFLOW_TRACKING_URI": f"sqlite:///{settings.shared_state / 'mlflow.db'}"}


def _s3_endpoint(settings: ClusterSettings) -> str | None:
    return os.environ.get("AWS_ENDPOINT_URL") if settings.remote.startswith("s3://") else None


def _updated_mirror(settings: ClusterSettings) -> Path:
    mirror = settings.work / "repository.git"
    mirror.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(mirror.with_suffix(".lock")):
        if not (mirror / "HEAD").exists():
            _git(mirror.parent, "init", "--quiet", "--bare", str(mirror))
        try:
            refs = ("+refs/heads/*:refs/heads/*", "+HEAD:refs/heads/HEAD")
            _git(mirror, "fetch", "--quiet", "--tags", settings.repository, *refs)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            said = _words(error).replace(settings.repository, without_credentials(settings.repository))
            message = f"cannot fetch from {without_credentials(settings.repository)}: {said}"
            raise CommitError(message) from None  # the command in the cause shows the URL's password
    return mirror


def _check_out(commit: str, folder: Path, settings: ClusterSettings) -> None:
    mirror = settings.work / "repository.git"
    if not _has_commit(mirror, commit):
        mirror = _updated_mirror(settings)
    if not _has_commit(mirror, commit):
        raise CommitError(
            f"{without_credentials(settings.repository)} has no commit {commit}; was it pushed?"
        )
    try:
        if not (folder / ".git").exists():
            _git(folder, "init", "--quiet")
            alternates = folder / ".git" / "objects" / "info" / "alternates"
            alternates.write_text(f"{mirror / 'objects'}\n", encoding="utf-8")
        _git(folder, "checkout", "--quiet", "--force", "--detach", commit)
    except subprocess.CalledProcessError as error:
        raise CommitError(f"cannot check out {commit} in {folder}: {_words(error)}") from error


def _has_commit(mirror: Path, commit: str) -> bool:
    if not (mirror / "HEAD").exists():
        return False
    try:
        _git(mirror, "cat-file", "-e", f"{commit}^{{commit}}")
    except subprocess.CalledProcessError:
        return False
    return True


def _remove_abandoned(parent: Path) -> None:
    """Remove checkouts whose process is gone; its lock went with it."""
    for lock_file in parent.glob("*.lock"):
        lock = FileLock(lock_file, timeout=0)
        try:
            with lock:
                shutil.rmtree(lock_file.with_suffix(""), ignore_errors=True)
                lock_file.unlink(missing_ok=True)
        except Timeout:
            continue


def _git(folder: Path, *arguments: str) -> str:
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
    done = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
        timeout=_FETCH_SECONDS,
    )
    return done.stdout.strip()


def _words(error: subprocess.SubprocessError) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        return str(error.stderr).strip() or f"git ended with exit code {error.returncode}"
    return f"git did not end within {_FETCH_SECONDS:g} s"
