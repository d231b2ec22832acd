"""What a worker does: run one stage of a commit, and nothing else, with files from and to the shared remote."""

import contextlib
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

from pipelines.cluster.remote.files import (
    DamagedOutputsError,
    delete_damaged,
    fetch_outputs,
    push_outputs,
    retry_remote,
)
from pipelines.cluster.remote.resolution import Resolution
from pipelines.cluster.remote.run_cache import Entry, key_of_entry
from pipelines.cluster.worker.checkouts import exclude_dvc_lock, temporary_checkout, tracking_environment
from pipelines.cluster.worker.gpus import available_gpus, leased_gpus
from pipelines.cluster.worker.settings import ClusterSettings
from pipelines.dag import StageNode, dependencies_in
from pipelines.processes.commands import Limits, Log
from pipelines.processes.exclusive_project import process_tag
from pipelines.processes.guard import orphan_guard
from pipelines.processes.signals import StopEvents
from pipelines.processes.stage_runner import StageRunner
from pipelines.schedule import Outcome, StageResult
from pipelines.sizes import switch_size
from stages.tracking import send_leftovers

REMOTE_PATIENCE_SECONDS = 900.0
"""For how long the remote may be away before a stage gives up."""
MLFLOW_PATIENCE_SECONDS = 300.0
"""For how long a stage that is made waits for MLflow; its outputs do not depend on it."""
_MLFLOW_PAUSE_SECONDS = 5.0
_LOCK_POLL_SECONDS = 1.0


class MissingInputsError(RuntimeError):
    """The stage was not run, since that would mean to run others too; the message names them."""


class StoppedError(RuntimeError):
    """A stop was requested before the stage ran."""


@dataclass(frozen=True)
class RemoteStage:
    """A stage of a commit. size: whose parameters are in force; name: DVC's name; gpus: how many it gets to itself."""

    commit: str
    size: str
    name: str
    gpus: int = 0


def run_remote_stage(
    wanted: RemoteStage, settings: ClusterSettings, *, limits: Limits, stop: StopEvents, log: Log
) -> StageResult:
    """Bring one stage's outputs into the remote: not again if they are there, and never those of another stage.

    Raises:
        MissingInputsError: an input was not made, or is damaged in the remote; it is then withdrawn, so
            that the flow makes it again.
        RemoteError, CommitError, GpuError: the remote, the repository or the GPUs cannot be had.
        StoppedError: a stop was requested while it waited.
    """
    start = time.monotonic()
    with_patience = functools.partial(retry_remote, patience=REMOTE_PATIENCE_SECONDS, stop=stop, log=log)
    with (
        temporary_checkout(wanted.commit, settings) as folder,
        contextlib.chdir(folder),
        Repo(os.curdir) as repo,
    ):
        switch_size(wanted.size)
        exclude_dvc_lock(folder)
        resolution = Resolution(repo, dependencies_in(repo, [wanted.name]))
        with_patience(lambda: _require_inputs(resolution, wanted.name))
        key = resolution.key(wanted.name)
        with _alone(settings.shared_state / "locks" / f"{key}.lock", stop, log) as lock:
            if with_patience(lambda: resolution.find(wanted.name)):
                return StageResult(wanted.name, Outcome.UP_TO_DATE)
            with_patience(lambda: _fetch_inputs(repo, resolution, wanted.name))
            result = _execute(wanted, settings, limits=limits, stop=stop, log=log, lock=lock)
            is_made = result.outcome is Outcome.DONE
            patience = MLFLOW_PATIENCE_SECONDS if is_made else 0.0  # one that failed is told of at once
            _send_what_mlflow_missed(settings, stop, log, patience=patience)
            if is_made:
                stage = resolution.stage(wanted.name)
                entry = _new_entry(stage, key)
                with_patience(lambda: _publish(repo, resolution, stage, key, entry))
    return StageResult(result.name, result.outcome, time.monotonic() - start, result.error)


def _require_inputs(resolution: Resolution, name: str) -> None:
    missing = resolution.find_all(resolution.upstream(name))
    if missing:
        raise MissingInputsError(
            f"{name} is not run: it depends on {', '.join(missing)}, which the remote does not have. "
            "The flow `reproduce` runs what is missing, in order."
        )


def _fetch_inputs(repo: Repo, resolution: Resolution, name: str) -> None:
    try:
        fetch_outputs(repo, resolution.inputs(name))
    except DamagedOutputsError as error:
        delete_damaged(repo, resolution, error)
        raise MissingInputsError(
            f"{name} is not run: {error}. These were withdrawn; the flow `reproduce` makes them again."
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


def _send_what_mlflow_missed(
    settings: ClusterSettings, stop: StopEvents, log: Log, *, patience: float
) -> None:
    """Send records that MLflow did not take while the stage ran; the next stage on a machine may be days away."""
    if tracking_environment(settings):
        return  # no server, but a database on this machine
    outbox = settings.shared_state / "mlflow-outbox"
    deadline = time.monotonic() + patience
    while waiting := send_leftovers(outbox):
        if time.monotonic() > deadline or stop.requested.wait(_MLFLOW_PAUSE_SECONDS):
            log(f"MLflow does not answer; records of {waiting} runs wait in {outbox} for the next stage")
            return


def _new_entry(stage: Any, key: str) -> Entry:
    """What DVC has just written about the stage into dvc.lock.

    Raises RuntimeError if code, parameters or inputs are no longer those that it was started with.
    """
    entry: Entry = load_yaml(str(Path(stage.path).with_suffix(".lock")))["stages"][stage.name]
    if key_of_entry(entry) != key:
        raise RuntimeError(
            f"{stage.addressing} changed its own inputs while it ran; its outputs are not kept"
        )
    return entry


def _publish(repo: Repo, resolution: Resolution, stage: Any, key: str, entry: Entry) -> None:
    """Outputs first: whoever finds the entry finds what it names."""
    StageLoader.fill_from_lock(stage, entry)
    push_outputs(repo, stage)
    resolution.run_cache.publish(key, entry)


@contextmanager
def _alone(file: Path, stop: StopEvents, log: Log) -> Iterator[int]:
    """Hold the lock of a stage with its inputs, among all machines that share the folder; yield its descriptor.

    It is free when this process and those that inherited the descriptor have ended, however they died. The file
    stays: removing it would let two hold it.
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
