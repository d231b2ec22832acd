"""Transfer outputs of stages between a checkout and the remote, with verified hashes."""

import hashlib
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from dvc.repo import Repo
from dvc_data.hashfile.tree import Tree

from pipelines.cluster.remote.resolution import Resolution
from pipelines.cluster.remote.run_cache import DiskError, RemoteError, remote_errors
from pipelines.processes.commands import Log
from pipelines.processes.signals import StopEvents

_Result = TypeVar("_Result")
_CHUNK_BYTES = 2**20
_MAX_PAUSE_SECONDS = 30.0
REMOTE_RETRY_SECONDS = 900.0
"""For how long operations are retried while the remote cannot be used."""


class DamagedOutputsError(RuntimeError):
    """Objects are missing in the remote or do not have the content of their hash.

    Attributes:
        objects: hashes of the objects.
        stages: stages whose outputs they are.
    """

    def __init__(self, objects: Mapping[str, Collection[str]]) -> None:
        self.objects = tuple(sorted(objects))
        self.stages = tuple(sorted({stage for stages in objects.values() for stage in stages}))
        names = ", ".join(f"{oid} (of {', '.join(sorted(objects[oid]))})" for oid in self.objects)
        super().__init__(f"missing or damaged in the remote: {names}")


def fetch_outputs(repo: Repo, outputs: Iterable[tuple[str, Any]]) -> None:
    """Fetch outputs, given with the names of their stages, into the machine's cache and check them out.

    Raises:
        DamagedOutputsError: an object is missing or damaged. It is then neither in the cache nor in the checkout.
        RemoteError: the remote cannot be used.
        DiskError: the cache cannot be written.
    """
    damaged: dict[str, set[str]] = {}
    outputs = list(outputs)
    with remote_errors():
        remote = repo.cloud.get_remote_odb(hash_name="md5")  # once: each call opens a connection
        lists = {out.hash_info for _, out in outputs if out.hash_info.isdir}
        repo.cloud.pull(lists, odb=remote)
        used = [objects for _, out in outputs for objects in out.get_used_objs().values()]
        repo.cloud.pull(set().union(*used), odb=remote)
        for stage, out in outputs:
            for oid in _object_ids(repo, out):
                if not repo.cache.local.exists(oid):
                    _require_damage(repo, oid)
                    damaged.setdefault(oid, set()).add(stage)
    if damaged:
        raise DamagedOutputsError(damaged)
    for _, out in outputs:
        out.checkout(force=True)  # outside of remote_errors: errors here are not those of the remote


def push_outputs(repo: Repo, stage: Any) -> None:
    """Copy the outputs of a stage from the machine's cache to the remote.

    Raises:
        RemoteError: the remote cannot be used.
    """
    with remote_errors():
        for objects in stage.get_used_objs().values():
            if failed := repo.cloud.push(objects).failed:
                raise RemoteError(
                    f"{len(failed)} objects of {stage.addressing} could not be written to the remote"
                )


def delete_damaged(repo: Repo, resolution: Resolution, error: DamagedOutputsError) -> None:
    """Delete damaged objects and the run-cache entries of their stages, so that the stages run again.

    The file lists (`.dir`) of the outputs are deleted as well: if a list exists, DVC assumes that its files exist.

    Raises:
        RemoteError: the remote cannot be used.
    """
    with remote_errors():
        remote = repo.cloud.get_remote_odb(hash_name="md5")  # once: each call opens a connection
        lists = {out.hash_info.value for name in error.stages for out in resolution.stage(name).outs}
        for oid in lists | set(error.objects):
            path = remote.oid_to_path(oid)
            if (oid in error.objects or oid.endswith(".dir")) and remote.fs.exists(path):
                remote.fs.remove(path)
    for name in error.stages:
        resolution.delete_entry(name)


def retry_remote(
    operation: Callable[[], _Result], *, seconds: float = REMOTE_RETRY_SECONDS, stop: StopEvents, log: Log
) -> _Result:
    """Return the result of `operation`; for `seconds`, retry it while the remote cannot be used.

    Raises:
        RemoteError: the time is over, a stop is requested, or the remote refuses the credentials.
    """
    deadline = time.monotonic() + seconds
    pause = 1.0
    while True:
        try:
            return operation()
        except RemoteError as error:
            if error.is_refusal or stop.requested.is_set() or time.monotonic() + pause > deadline:
                raise
            log(f"{error}; trying again in {pause:g} s")
            stop.requested.wait(pause)
            pause = min(2 * pause, _MAX_PAUSE_SECONDS)


def _require_damage(repo: Repo, oid: str) -> None:
    """Raise DiskError if an object that was not fetched is intact in the remote: then the local disk is the cause."""
    remote = repo.cloud.get_remote_odb(hash_name="md5")
    digest = hashlib.md5(usedforsecurity=False)
    try:
        with remote.fs.open(remote.oid_to_path(oid), "rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
    except FileNotFoundError:
        return
    if digest.hexdigest() == oid.removesuffix(".dir"):
        raise DiskError(
            f"No space left on device, or no right to write, for {oid} in {repo.cache.local.path}"
        )


def _object_ids(repo: Repo, out: Any) -> Iterator[str]:
    yield out.hash_info.value
    if out.hash_info.isdir and repo.cache.local.exists(out.hash_info.value):
        for _, _, hash_info in Tree.load(repo.cache.local, out.hash_info):
            yield hash_info.value
