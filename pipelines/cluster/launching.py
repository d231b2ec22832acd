"""Bring stages up to date on workers: start a run of a stage, wait for it, and start it again after a crash."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from prefect.client.schemas.objects import FlowRun, StateType

from pipelines.cluster.remote.files import retry_remote
from pipelines.cluster.remote.resolution import Resolution
from pipelines.cluster.remote.run_cache import RemoteError
from pipelines.cluster.stage_runs import DeploymentMissingError, StageRuns
from pipelines.dag import StageNode
from pipelines.processes.commands import Log
from pipelines.processes.signals import StopEvents
from pipelines.resources import Resources
from pipelines.schedule import Outcome, StageResult


@dataclass(frozen=True)
class LaunchOptions:
    """How stages are started.

    Attributes:
        parameters: parameters of the flow `run-stage` that all stages have in common.
        resources: the resources of each stage.
        max_relaunches: how often a stage is started again after a crash. A failed stage is not started again.
    """

    parameters: Mapping[str, Any]
    resources: Mapping[str, Resources]
    max_relaunches: int


class StageLauncher:
    """Bring stages up to date on workers. Several threads may use it at once; `run` waits for the stage."""

    def __init__(
        self, resolution: Resolution, stage_runs: StageRuns, options: LaunchOptions, *, stop: StopEvents
    ) -> None:
        self._resolution = resolution
        self._stage_runs = stage_runs
        self._options = options
        self._stop = stop
        self._lock = threading.Lock()  # DVC's objects are not for several threads

    def run(self, stage: StageNode, log: Log) -> StageResult:
        """Run a stage whose outputs are not in the remote. A stop request cancels it. A failure is a result."""
        try:
            if self._has_outputs(stage.name, log):
                log("up to date")
                return StageResult(stage.name, Outcome.UP_TO_DATE)
            resources = self._options.resources[stage.name]
            if missing := self._stage_runs.missing_resources(resources):
                return _failed(stage.name, missing)
            return self._launch(stage.name, resources, log)
        except (DeploymentMissingError, RemoteError, httpx.HTTPError) as error:
            return _failed(stage.name, str(error))

    def _has_outputs(self, name: str, log: Log) -> bool:
        def find() -> bool:
            with self._lock:
                return self._resolution.find(name)

        return retry_remote(find, stop=self._stop, log=log)

    def _launch(self, name: str, resources: Resources, log: Log) -> StageResult:
        with self._lock:
            key = self._resolution.key(name)
        gpus = f" with {resources.gpus} GPUs" if resources.gpus else ""
        relaunches = 0
        while True:
            started = self._stage_runs.start(name, key, resources, self._options.parameters)
            log(f"{name}: on pool {resources.pool}{gpus}")
            ended = self._stage_runs.wait(started, self._stop)
            if self._stop.requested.is_set():
                self._stage_runs.cancel(started.id)
                return StageResult(name, Outcome.STOPPED, error="was stopped")
            if not self._is_lost(ended) or relaunches == self._options.max_relaunches:
                return self._result(name, ended, log)
            relaunches += 1
            log(f"{name} crashed ({_message(ended)}); starting it again")

    def _is_lost(self, ended: FlowRun | None) -> bool:
        """Return whether the process, worker or machine of a run was lost, or the run was deleted.

        After the process of a cancelled run has ended, Prefect shows the run as Crashed at first.
        """
        if ended is None or ended.state is None:
            return True
        return ended.state.type == StateType.CRASHED and not self._stage_runs.was_cancelled(ended.id)

    def _result(self, name: str, ended: FlowRun | None, log: Log) -> StageResult:
        seconds = 0.0 if ended is None else ended.total_run_time.total_seconds()
        if ended is None or ended.state is None or not ended.state.is_completed():
            return _failed(name, _message(ended), seconds)
        if not self._has_outputs(name, log):
            return _failed(name, "it was run, but the remote does not have its outputs", seconds)
        return StageResult(name, Outcome.DONE, seconds)


def _failed(name: str, reason: str, seconds: float = 0.0) -> StageResult:
    return StageResult(name, Outcome.FAILED, seconds, f"Stage {name!r}: {reason}")


def _message(flow_run: FlowRun | None) -> str:
    if flow_run is None or flow_run.state is None:
        return "its run was deleted from Prefect"
    state = flow_run.state
    return f"{state.name}: {state.message}" if state.message else str(state.name)
