"""Run one stage of a commit on a worker: fetch its inputs from the remote, run it, push its outputs."""

import fcntl
import functools
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dvc.repo import Repo
from dvc.stage.loader import StageLoader
from dvc.utils.serialize import load_yaml

from pipelines.cluster import changed_sources
from pipelines.cluster.names import require_names
from pipelines.cluster.remote.files import (
    DamagedOutputsError,
    delete_damaged,
    fetch_outputs,
    push_outputs,
    retry_remote,
)
from pipelines.cluster.remote.resolution import Resolution
from pipelines.cluster.remote.run_cache import Entry, key_of_entry
from pipelines.cluster.worker.checkouts import size_checkout, tracking_environment
from pipelines.cluster.worker.gpus import available_gpus, leased_gpus
from pipelines.cluster.worker.settings import ClusterSettings
from pipelines.dag import StageNode, dependencies_in
from pipelines.processes.commands import Limits, Log
from pipelines.processes.exclusive_project import process_tag
from pipelines.processes.guard import orphan_guard
from pipelines.processes.signals import StopEvents
from pipelines.processes.stage_runner import StageRunner
from pipelines.schedule import Outcome, StageResult
from stages.tracking import send_leftovers

MLFLOW_RETRY_SECONDS = 300.0
"""For how long records are sent to MLflow again after a stage has succeeded. Outputs do not depend on MLflow."""
_MLFLOW_PAUSE_SECONDS = 5.0
_LOCK_POLL_SECONDS = 1.0


class MissingInputsError(RuntimeError):
    """The stage was not run, because inputs are missing or damaged. The message names their stages."""


class StoppedError(RuntimeError):
    """A stop was requested before the stage ran."""


@dataclass(frozen=True)
class RemoteStage:
    """A stage of a commit.

    Attributes:
        commit: the full hash.
        size: the size whose parameters are used, whatever size params.yaml of the commit has.
        name: DVC's address of the stage.
        gpus: how many GPUs it has exclusively.

    Raises:
        NotANameError: a name has other characters than a name of dvc.yaml.
    """

    commit: str
    size: str
    name: str
    gpus: int = 0

    def __post_init__(self) -> None:
        require_names(self.size, (self.name,))


def run_remote_stage(
    wanted: RemoteStage, settings: ClusterSettings, *, limits: Limits, stop: StopEvents, log: Log
) -> StageResult:
    """Run one stage, unless its outputs are in the remote, and push its outputs. No other stage is run.

    Raises:
        MissingInputsError: an input is missing or damaged in the remote. A damaged input is deleted, so that the
            flow runs its stage again.
        UnknownSizeError, ParamsError: the commit has no such size, or a wrong parameter file.
        RemoteError, CommitError, GpuError: the remote, the repository or the GPUs are not available.
        StoppedError: a stop was requested while another worker ran this stage.
    """
    start = time.monotonic()
    retry = functools.partial(retry_remote, stop=stop, log=log)
    with size_checkout(wanted.commit, wanted.size, settings), Repo(os.curdir) as repo:
        resolution = Resolution(repo, dependencies_in(repo, [wanted.name]))
        retry(lambda: _require_inputs(resolution, wanted.name))
        key = resolution.key(wanted.name)
        with _stage_lock(settings.shared_state / "locks" / f"{key}.lock", stop, log) as lock:
            if retry(lambda: resolution.find(wanted.name)):
                return StageResult(wanted.name, Outcome.UP_TO_DATE)
            retry(lambda: _fetch_inputs(repo, resolution, wanted.name))
            if wanted.name.partition("@")[0] == changed_sources.STAGE:
                resolution.run_cache.delete_local(key)  # it may be of files that have changed since
            result = _execute(wanted, settings, limits=limits, stop=stop, log=log, lock=lock)
            has_succeeded = result.outcome is Outcome.DONE
            retry_seconds = MLFLOW_RETRY_SECONDS if has_succeeded else 0.0  # a failure is reported at once
            _send_waiting_records(settings, stop, log, retry_seconds=retry_seconds)
            if has_succeeded:
                stage = resolution.stage(wanted.name)
                entry = _new_entry(stage, key)
                retry(lambda: _publish(repo, resolution, stage, key, entry))
    return StageResult(result.name, result.outcome, time.monotonic() - start, result.error)


def _require_inputs(resolution: Resolution, name: str) -> None:
    missing = resolution.find_all(resolution.upstream(name))
    if missing:
        raise MissingInputsError(
            f"{name} is not run: it depends on {', '.join(missing)}, which the remote does not have. "
            "The flow `reproduce` runs missing stages in order."
        )


def _fetch_inputs(repo: Repo, resolution: Resolution, name: str) -> None:
    try:
        fetch_outputs(repo, resolution.inputs(name))
    except DamagedOutputsError as error:
        delete_damaged(repo, resolution, error)
        raise MissingInputsError(
            f"{name} is not run: {error}. These objects were deleted; the flow `reproduce` runs their stages again."
        ) from error


def _execute(
    wanted: RemoteStage,
    settings: ClusterSettings,
    *,
    limits: Limits,
    stop: StopEvents,
    log: Log,
    lock: int,
) -> StageResult:
    node = StageNode.unchecked(wanted.name)
    gpu_folder = settings.work / "gpus"
    with leased_gpus(wanted.gpus, gpu_folder, available_gpus(), stop=stop) as gpus:
        environment = {**os.environ, **tracking_environment(settings), **gpus.environment}
        runner = StageRunner(limits=limits, stop=stop, environment=environment)
        with orphan_guard(process_tag(""), grace=limits.grace, keep_open=(lock, *gpus.descriptors)):
            return runner.run(node, log)


def _send_waiting_records(
    settings: ClusterSettings, stop: StopEvents, log: Log, *, retry_seconds: float
) -> None:
    """Send records that MLflow did not accept while the stage ran: the next stage may start days later."""
    if tracking_environment(settings):
        return  # MLflow is a database on this machine
    outbox = settings.shared_state / "mlflow-outbox"
    deadline = time.monotonic() + retry_seconds
    while waiting := send_leftovers(outbox):
        if time.monotonic() > deadline or stop.requested.wait(_MLFLOW_PAUSE_SECONDS):
            log(f"MLflow is unavailable; records of {waiting} runs wait in {outbox} for the next stage")
            return


def _new_entry(stage: Any, key: str) -> Entry:
    """Return the entry of the stage that DVC has just written to dvc.lock.

    Raises:
        RuntimeError: code, parameters or inputs were changed while the stage ran.
    """
    entry: Entry = load_yaml(str(Path(stage.path).with_suffix(".lock")))["stages"][stage.name]
    if key_of_entry(entry) != key:
        raise RuntimeError(
            f"the inputs of {stage.addressing} were changed while it ran; its outputs are not pushed"
        )
    return entry


def _publish(repo: Repo, resolution: Resolution, stage: Any, key: str, entry: Entry) -> None:
    """Push outputs first, so that they exist when another machine finds the entry."""
    StageLoader.fill_from_lock(stage, entry)
    push_outputs(repo, stage)
    resolution.run_cache.publish(key, entry)


@contextmanager
def _stage_lock(file: Path, stop: StopEvents, log: Log) -> Iterator[int]:
    """Hold the lock of a stage with given inputs, and yield its descriptor. Machines that share the folder share it.

    It is released when this process and all that inherited the descriptor have ended. The file is not removed:
    otherwise two processes could hold locks on two files of the same name.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        waited = False
        while not _try_lock(descriptor):
            if not waited:
                log("another worker runs this stage; waiting for it")
                waited = True
            if stop.requested.wait(_LOCK_POLL_SECONDS):
                raise StoppedError("stopped while another worker ran this stage")
        yield descriptor
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
