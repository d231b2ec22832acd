"""The flows of the deployments in prefect.yaml: the whole DAG, the training of one run, one stage."""

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from dvc.exceptions import DvcException
from dvc.repo import Repo
from prefect import flow, get_client, get_run_logger
from prefect.client.schemas import State
from prefect.states import Cancelled, Completed, Failed

from lzn.base.sections import ParamsError, read_yaml
from pipelines.cluster.changed_sources import forget_changed_sources
from pipelines.cluster.collector import collect
from pipelines.cluster.launching import LaunchOptions, StageLauncher
from pipelines.cluster.names import NotANameError, require_names
from pipelines.cluster.remote.files import DamagedOutputsError, retry_remote
from pipelines.cluster.remote.resolution import Resolution
from pipelines.cluster.remote.run_cache import DiskError, RemoteError
from pipelines.cluster.stage_runs import StageRuns
from pipelines.cluster.worker.checkouts import persistent_checkout, size_checkout
from pipelines.cluster.worker.commits import CommitError, resolve_commit
from pipelines.cluster.worker.gpu_limit import cluster_gpu_slots
from pipelines.cluster.worker.gpus import GpuError, GpuWaitStoppedError
from pipelines.cluster.worker.remote_stage import (
    MissingInputsError,
    RemoteStage,
    StoppedError,
    run_remote_stage,
)
from pipelines.cluster.worker.s3_block import use_s3_block
from pipelines.cluster.worker.settings import ClusterSettings, SettingsError
from pipelines.dag import DEFAULT_TARGETS, StageNode, cached_dependencies_in
from pipelines.flow.messages import as_utf8
from pipelines.flow.preview import Preview
from pipelines.flow.progress import shown_progress
from pipelines.flow.publishing import publish_results
from pipelines.flow.stage_tasks import run_stages
from pipelines.processes.commands import Limits, Log
from pipelines.processes.signals import StopEvents, stop_on_signals
from pipelines.resources import resources_of
from pipelines.schedule import Outcome, StageResult, failure_message, summary_table
from pipelines.sizes import PARAMS_FILE, EditedParamsError, UnknownSizeError, switch_size
from stages.runtime.outputs import OutputPaths

ONE_WEEK = 7 * 24 * 3600.0
GRACE_SECONDS = 20.0
"""Time for a stage to save its work before it is killed. A worker that cancels a run kills it after 30 s."""
MAX_ROUNDS = 3
"""How often a flow runs missing stages. After damaged outputs are found and deleted, their stages are missing."""
EXPECTED_ERRORS = (
    CommitError,
    DamagedOutputsError,
    DiskError,
    DvcException,
    EditedParamsError,
    GpuError,
    OSError,
    ParamsError,
    MissingInputsError,
    NotANameError,
    RemoteError,
    SettingsError,
    UnknownSizeError,
)
"""Errors that end a flow with their message and without a traceback."""


@flow(name="run-stage", flow_run_name="{stage}", persist_result=False)
def run_stage(  # noqa: PLR0917 - Prefect passes parameters by name
    stage: str,
    commit: str,
    size: str = "digits",
    gpus: int = 0,
    timeout_seconds: float = ONE_WEEK,
    grace_seconds: float = GRACE_SECONDS,
) -> State[Any]:
    """Run one stage of a commit on this machine. Inputs come from the DVC remote, and outputs go to it.

    The stage is not run if its outputs are in the remote. The flow fails if inputs are missing.

    Args:
        stage: DVC's name, such as `train@rf`.
        commit: the full hash of the commit, which a branch of LZN_BRANCHES contains.
        size: the size whose parameters are used.
        gpus: how many GPUs the stage has exclusively.
        timeout_seconds: time limit of the stage.
        grace_seconds: time for the stage to save its work before it is killed.
    """
    log = get_run_logger()
    limits = Limits(timeout=timeout_seconds, grace=grace_seconds)
    with stop_on_signals() as stop:
        try:
            wanted = RemoteStage(commit=commit, size=size, name=stage, gpus=gpus)
            use_s3_block()
            settings = ClusterSettings.from_environment()
            with cluster_gpu_slots(gpus), shown_progress(stage, log.info) as show:
                result = run_remote_stage(wanted, settings, limits=limits, stop=stop, log=show)
        except (GpuWaitStoppedError, StoppedError) as error:
            return Cancelled(message=str(error))
        except EXPECTED_ERRORS as error:
            return _failed(error, log.error)
        return _state_of(result)


@flow(name="reproduce", flow_run_name="{size}", persist_result=False)
def reproduce(
    size: str = "digits",
    targets: Sequence[str] = (),
    commit: str = "HEAD",
    max_relaunches: int = 2,
    dry_run: bool = False,
) -> State[Any]:
    """Bring the stages of a size up to date on the cluster's workers, then collect their outputs.

    Stages with outputs that DVC does not cache (`results`) are left out: they belong to a clone.

    Args:
        size: the size whose parameters are used.
        targets: as for `dvc repro` (`train@rf`; `measure` for all of `measure@...`); by default, all stages.
        commit: a commit, branch or tag of LZN_REPOSITORY, which a branch of LZN_BRANCHES contains.
        max_relaunches: how often a stage is started again after a crash.
        dry_run: list the stages to run and those already there, and start none.
    """
    return _reproduce(size, targets, commit, max_relaunches, dry_run=dry_run)


@flow(name="train-one", flow_run_name="{size} {run}", persist_result=False)
def train_one(
    run: str, size: str = "digits", commit: str = "HEAD", max_relaunches: int = 2, dry_run: bool = False
) -> State[Any]:
    """Train one run on the cluster's workers, and run the stages that it depends on. Arguments as for `reproduce`."""
    return _reproduce(size, (f"train@{run}",), commit, max_relaunches, dry_run=dry_run)


def _reproduce(
    size: str, targets: Sequence[str], commit: str, max_relaunches: int, *, dry_run: bool
) -> State[Any]:
    log = get_run_logger()
    with stop_on_signals() as stop:
        try:
            require_names(size, targets)
            use_s3_block()
            settings = ClusterSettings.from_environment()
            full_hash = resolve_commit(commit, settings)
            with size_checkout(full_hash, size, settings):
                forget_changed_sources(dry_run=dry_run, stop=stop, log=log.info)
                for rounds_left in reversed(range(MAX_ROUNDS)):
                    with _opened(targets or DEFAULT_TARGETS) as (resolution, dependencies):
                        preview = _preview(resolution, dependencies, stop=stop, log=log.info)
                        log.info("Size %s at %s: %s", size, full_hash, preview)
                        preview.publish(size, log.warning)
                        if dry_run:
                            return Completed(message=f"dry run: {preview.summary}")
                        launch = launch_options(size, full_hash, max_relaunches, dependencies)
                        results = run_on_workers(resolution, dependencies, launch, stop=stop, log=log.info)
                    if stop.requested.is_set():
                        break
                    try:
                        _collect(full_hash, size, targets, settings, stop=stop, log=log.info)
                        break
                    except DamagedOutputsError as error:
                        if not rounds_left:
                            raise
                        log.warning("%s; their stages run again", error)
        except EXPECTED_ERRORS as error:
            return _failed(error, log.error)
        log.info("Stages of %s at %s:\n%s", size, full_hash, summary_table(results))
        return _state_of_all(results)


@contextmanager
def _opened(targets: Sequence[str]) -> Iterator[tuple[Resolution, Mapping[str, frozenset[str]]]]:
    """Open the checkout in the current folder: what the remote has, and the stages with their dependencies."""
    with Repo(os.curdir) as repo:
        dependencies = cached_dependencies_in(repo, targets)
        yield Resolution(repo, dependencies), dependencies


def _preview(
    resolution: Resolution, dependencies: Mapping[str, frozenset[str]], *, stop: StopEvents, log: Log
) -> Preview:
    retry_remote(lambda: resolution.find_all(dependencies), stop=stop, log=log)
    return Preview.of(dependencies, present=resolution.entries)


def run_on_workers(
    resolution: Resolution,
    dependencies: Mapping[str, frozenset[str]],
    launch: LaunchOptions,
    *,
    stop: StopEvents,
    log: Log,
) -> tuple[StageResult, ...]:
    """Run on workers the stages whose outputs are not in the remote. All that are ready run at the same time."""
    stages = [StageNode.unchecked(name, needed) for name, needed in dependencies.items()]
    with get_client(sync_client=True) as client:
        launcher = StageLauncher(resolution, StageRuns(client, log=log), launch, stop=stop)
        return run_stages(stages, launcher, stop=stop)


def _collect(
    commit: str,
    size: str,
    targets: Sequence[str],
    settings: ClusterSettings,
    *,
    stop: StopEvents,
    log: Log,
) -> None:
    """Check out all outputs of a size into its persistent folder, one flow at a time, and publish the results."""
    with contextlib.ExitStack() as contexts:
        folder = contexts.enter_context(persistent_checkout(commit, size, settings))
        contexts.enter_context(contextlib.chdir(folder))
        switch_size(size)
        # Outputs of another commit. DVC's cache has them, too.
        shutil.rmtree(OutputPaths(size).folder("."), ignore_errors=True)
        repo = contexts.enter_context(Repo(os.curdir))  # after the switch: it reads params.yaml
        dependencies = cached_dependencies_in(repo, targets or DEFAULT_TARGETS)
        resolution = Resolution(repo, dependencies)

        def find_and_collect() -> None:
            resolution.find_all(dependencies)
            collect(repo, resolution)

        retry_remote(find_and_collect, stop=stop, log=log)
        log(f"Collected in {folder}")
        publish_results(PARAMS_FILE, log)


def launch_options(size: str, commit: str, max_relaunches: int, stages: Iterable[str]) -> LaunchOptions:
    """Return how stages are started.

    Raises:
        ParamsError: a stage has no resources; then no stage is started.
    """
    params = read_yaml(PARAMS_FILE)
    return LaunchOptions(
        parameters={"commit": commit, "size": size},
        resources={name: resources_of(params, name) for name in stages},
        max_relaunches=max_relaunches,
    )


def _failed(error: Exception, log_error: Log) -> State[Any]:
    message = as_utf8(str(error))  # Prefect's server refuses names of files that are not UTF-8
    log_error(message)
    return Failed(message=message)


def _state_of(result: StageResult) -> State[Any]:
    if result.outcome is Outcome.FAILED:
        return Failed(message=result.error)  # not raised: Prefect would store a flow's exception as a pickle
    if result.outcome is Outcome.STOPPED:
        return Cancelled(message=result.error)
    return Completed(message=result.outcome.value)


def _state_of_all(results: Sequence[StageResult]) -> State[Any]:
    if failure := failure_message(results):
        return Failed(message=failure)
    if not all(result.outcome.releases_dependents for result in results):
        return Cancelled(message="was stopped")
    done = sum(result.outcome is Outcome.DONE for result in results)
    return Completed(message=f"{done} stages run, {len(results) - done} up to date")
