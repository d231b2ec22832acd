"""Outputs of stages between a checkout and the remote, whole and verified or not at all."""

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
_LONGEST_PAUSE_SECONDS = 30.0


class DamagedOutputsError(RuntimeError):
    """Objects of the remote are lost or are not what their hash says; `stages` are those that made them."""

    def __init__(self, objects: Mapping[str, Collection[str]]) -> None:
        self.objects = tuple(sorted(objects))
        self.stages = tuple(sorted({stage for stages in objects.values() for stage in stages}))
        names = ", ".join(f"{oid} (of {', '.join(sorted(objects[oid]))})" for oid in self.objects)
        super().__init__(f"lost or damaged in the remote: {names}")


def fetch_outputs(repo: Repo, outputs: Iterable[tuple[str, Any]]) -> None:
    """Bring outputs, each with its stage's name, from the remote into the machine's cache and the checkout.

    Raises DamagedOutputsError if an object is lost or has another content than its hash says; such an object is in
    neither cache nor checkout afterwards. Raises RemoteError if the remote cannot be used, DiskError if the cache
    cannot be written.
    """
    damaged: dict[str, set[str]] = {}
    outputs = list(outputs)
    with remote_errors():
        remote = repo.cloud.get_remote_odb(hash_name="md5")  # once for all: each call connects anew
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
        out.checkout(force=True)  # nothing of the remote: what goes wrong here will not pass by waiting


def push_outputs(repo: Repo, stage: Any) -> None:
    """Bring a stage's outputs from the machine's cache into the remote. Raises RemoteError if that fails."""
    with remote_errors():
        for objects in stage.get_used_objs().values():
            if failed := repo.cloud.push(objects).failed:
                raise RemoteError(
                    f"{len(failed)} objects of {stage.addressing} could not be written to the remote"
                )


def delete_damaged(repo: Repo, resolution: Resolution, error: DamagedOutputsError) -> None:
    """Let stages whose outputs are damaged in the remote count as not made, and remove the damaged objects.

    With them goes the list of an output's files, by which DVC tells that all of them are there.
    Raises RemoteError if the remote cannot be used.
    """
    with remote_errors():
        remote = repo.cloud.get_remote_odb(hash_name="md5")  # once for all: each call connects anew
        lists = {out.hash_info.value for name in error.stages for out in resolution.stage(name).outs}
        for oid in lists | set(error.objects):
            path = remote.oid_to_path(oid)
            if (oid in error.objects or oid.endswith(".dir")) and remote.fs.exists(path):
                remote.fs.remove(path)
    for name in error.stages:
        resolution.delete_entry(name)


def retry_remote(operation: Callable[[], _Result], *, patience: float, stop: StopEvents, log: Log) -> _Result:
    """Do something with the remote, again and again for `patience` seconds while the remote cannot be used.

    Raises the last RemoteError; at once if the remote refuses the credentials.
    """
    deadline = time.monotonic() + patience
    pause = 1.0
    while True:
        try:
            return operation()
        except RemoteError as error:
            if error.is_refusal or stop.requested.is_set() or time.monotonic() + pause > deadline:
                raise
            log(f"{error}; trying again in {pause:g} s")
            stop.requested.wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


def _require_damage(repo: Repo, oid: str) -> None:
    """Raise DiskError if an object that could not be fetched is whole in the remote: the fault is on this side."""
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
