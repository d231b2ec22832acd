"""Commits of the repository: a mirror on this machine, and which commits may be run."""

import os
import re
import subprocess
from pathlib import Path
from typing import Final

from filelock import FileLock

from pipelines.cluster.worker.private_folder import make_private
from pipelines.cluster.worker.settings import ClusterSettings, without_credentials

_FULL_HASH: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_FETCH_SECONDS: Final = 600.0


class CommitError(RuntimeError):
    """A commit cannot be checked out. The message has the reason."""


def require_full_hash(commit: str) -> None:
    """Check that a commit is given by its full hash: a branch may move while stages of a flow run.

    Raises:
        CommitError: it is not.
    """
    if not _FULL_HASH.fullmatch(commit):
        raise CommitError(f"commit {commit!r} is no full hash: give the output of `git rev-parse HEAD`")


def resolve_commit(revision: str, settings: ClusterSettings) -> str:
    """Return the full hash of a branch, tag or commit of the repository.

    Raises:
        CommitError: there is none, or no branch of LZN_BRANCHES contains it.
    """
    mirror = _updated_mirror(settings)
    for candidate in (f"refs/heads/{revision}", revision):
        try:
            commit = git(
                mirror, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{candidate}^{{commit}}"
            )
        except subprocess.CalledProcessError:
            continue
        if not _is_reachable(mirror, commit, settings):
            raise _unreachable(commit, settings)
        return commit
    where = without_credentials(settings.repository)
    raise CommitError(f"{where} has no branch, tag or commit {revision}; was it pushed?")


def mirror_with(commit: str, settings: ClusterSettings) -> Path:
    """Return the mirror with a commit, which is fetched if it is missing.

    Raises:
        CommitError: the repository cannot be reached or has no such commit, or no branch of LZN_BRANCHES contains it.
    """
    require_full_hash(commit)
    mirror = settings.work / "repository.git"
    if _has_commit(mirror, commit) and _is_reachable(mirror, commit, settings):
        return mirror
    mirror = _updated_mirror(settings)
    if not _has_commit(mirror, commit):
        raise CommitError(
            f"{without_credentials(settings.repository)} has no commit {commit}; was it pushed?"
        )
    if not _is_reachable(mirror, commit, settings):
        raise _unreachable(commit, settings)
    return mirror


def _is_reachable(mirror: Path, commit: str, settings: ClusterSettings) -> bool:
    """Return whether a branch that may be run contains the commit."""
    for branch in settings.branches:
        try:
            git(mirror, "merge-base", "--is-ancestor", commit, f"refs/heads/{branch}")
        except subprocess.CalledProcessError:
            continue
        return True
    return False


def _unreachable(commit: str, settings: ClusterSettings) -> CommitError:
    return CommitError(
        f"no branch of {without_credentials(settings.repository)} that may be run contains {commit}: these are "
        f"{', '.join(settings.branches)} (LZN_BRANCHES of the worker); merge the commit into one of them"
    )


def _updated_mirror(settings: ClusterSettings) -> Path:
    mirror = settings.work / "repository.git"
    make_private(settings.work)
    with FileLock(mirror.with_suffix(".lock")):
        if not (mirror / "HEAD").exists():
            git(mirror.parent, "init", "--quiet", "--bare", str(mirror))
        try:
            refs = ("+refs/heads/*:refs/heads/*", "+HEAD:refs/heads/HEAD")
            git(mirror, "fetch", "--quiet", "--tags", settings.repository, *refs)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            reason = reason_of(error).replace(settings.repository, without_credentials(settings.repository))
            message = f"cannot fetch from {without_credentials(settings.repository)}: {reason}"
            raise CommitError(message) from None  # the cause has the URL with its password
    return mirror


def _has_commit(mirror: Path, commit: str) -> bool:
    if not (mirror / "HEAD").exists():
        return False
    try:
        git(mirror, "cat-file", "-e", f"{commit}^{{commit}}")
    except subprocess.CalledProcessError:
        return False
    return True


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder without questions, and return its output. Raises CalledProcessError, TimeoutExpired."""
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


def reason_of(error: subprocess.SubprocessError) -> str:
    """Return why git failed, in its words."""
    if isinstance(error, subprocess.CalledProcessError):
        return str(error.stderr).strip() or f"git ended with exit code {error.returncode}"
    return f"git did not end within {_FETCH_SECONDS:g} s"
