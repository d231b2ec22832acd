"""The scheduler loop of a flow on a cluster: it starts ready stages, waits, and starts crashed ones again."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from prefect.client.schemas.objects import FlowRun, StateType

from pipelines.cluster.remote.files import retry_remote
from pipelines.cluster.remote.resolution import Resolution
from pipelines.cluster.stage_runs import StageRun, StageRuns
from pipelines.dag import StageNode
from pipelines.processes.commands import Log
from pipelines.processes.signals import StopEvents
from pipelines.resources import Resources
from pipelines.schedule import Outcome, Schedule, StageResult

POLL_SECONDS = 2.0
LATE = "Late"
"""Prefect's name for the state of a scheduled run that no worker has taken for 15 s."""


@dataclass(frozen=True)
class LaunchOptions:
    """How stages are started.

    Attributes:
        parameters: parameters of the flow `run-stage` that all stages have in common.
        resources_of: returns the resources of a stage; raises ParamsError if its parameters have none.
        max_relaunches: how often a stage is started again after a crash. A failed stage is not started again.
    """

    parameters: Mapping[str, Any]
    resources_of: Callable[[str], Resources]
    max_relaunches: int


class SchedulerLoop:
    """Run the stages of a DAG on workers, each after its dependencies."""

    def __init__(
        self,
        resolution: Resolution,
        stage_runs: StageRuns,
        launch: LaunchOptions,
        *,
        stop: StopEvents,
        log: Log,
    ) -> None:
        self._resolution = resolution
        self._stage_runs = stage_runs
        self._launch = launch
        self._stop = stop
        self._log = log
        self._resources: dict[str, Resources] = {}
        self._running: list[StageRun] = []
        self._warned_pools: set[str] = set()

    def run(self, dependencies: Mapping[str, frozenset[str]]) -> tuple[StageResult, ...]:
        """Run the stages whose outputs are not in the remote. A stop request cancels the running ones.

        Raises:
            ParamsError: a stage has no resources; then no stage is started.
            RemoteError: the remote cannot be used. Running stages continue, and the next flow joins them.
        """
        self._resources = {name: self._launch.resources_of(name) for name in dependencies}
        schedule = Schedule([StageNode.unchecked(name, needed) for name, needed in dependencies.items()])
        try:
            return self._loop(schedule)
        finally:
            if self._stop.requested.is_set():
                self._stage_runs.cancel(self._running)

    def _loop(self, schedule: Schedule) -> tuple[StageResult, ...]:
        while True:
            self._start_ready(schedule)
            if self._stop.requested.is_set():
                for stage_run in self._running:
                    schedule.finish(StageResult(stage_run.stage, Outcome.STOPPED, error="was stopped"))
                return schedule.results()
            if not self._running:
                return schedule.results()
            self._stop.requested.wait(POLL_SECONDS)
            for result in self._finished_results():
                schedule.finish(result)

    def _start_ready(self, schedule: Schedule) -> None:
        while not self._stop.requested.is_set() and (node := schedule.next_stage()) is not None:
            if self._has_outputs(node.name):
                schedule.finish(StageResult(node.name, Outcome.UP_TO_DATE))
            elif missing := self._stage_runs.missing_resources(self._resources[node.name]):
                error = f"Stage {node.name!r}: {missing}"
                schedule.finish(StageResult(node.name, Outcome.FAILED, error=error))
            else:
                self._running.append(self._start(node.name))

    def _has_outputs(self, name: str) -> bool:
        return retry_remote(lambda: self._resolution.find(name), stop=self._stop, log=self._log)

    def _start(self, name: str) -> StageRun:
        resources = self._resources[name]
        gpus = f" with {resources.gpus} GPUs" if resources.gpus else ""
        stage_run = self._stage_runs.start(
            name, self._resolution.key(name), resources, self._launch.parameters
        )
        self._log(f"{name}: on pool {resources.pool}{gpus}")
        return stage_run

    def _finished_results(self) -> list[StageResult]:
        """Return the results of runs that ended. Crashed runs are started again while relaunches are left."""
        flow_runs = self._stage_runs.read(self._running)
        results: list[StageResult] = []
        for stage_run in list(self._running):
            flow_run = flow_runs.get(stage_run.flow_run_id)
            if flow_run is not None and (flow_run.state is None or not flow_run.state.is_final()):
                self._warn_if_no_worker(flow_run)
                continue
            self._running.remove(stage_run)
            if self._is_relaunched(stage_run, flow_run):
                self._log(f"{stage_run.stage} crashed ({_message(flow_run)}); starting it again")
                relaunched = replace(self._start(stage_run.stage), relaunches=stage_run.relaunches + 1)
                self._running.append(relaunched)
            else:
                results.append(self._result(stage_run, flow_run))
                self._log(f"{stage_run.stage}: {results[-1].outcome.value}")
        return results

    def _is_relaunched(self, stage_run: StageRun, flow_run: FlowRun | None) -> bool:
        """Return whether a stage is started again: it crashed, has relaunches left, and was not cancelled."""
        if not _crashed(flow_run) or stage_run.relaunches >= self._launch.max_relaunches:
            return False
        return flow_run is None or not self._stage_runs.was_cancelled(flow_run.id)

    def _warn_if_no_worker(self, flow_run: FlowRun) -> None:
        """Log, once per pool, that no worker of the pool is online."""
        pool = flow_run.work_pool_name
        if (
            flow_run.state is None
            or flow_run.state.name != LATE
            or pool is None
            or pool in self._warned_pools
        ):
            return
        if self._stage_runs.is_without_workers(pool):
            self._warned_pools.add(pool)
            command = f"python -m infra.worker --pool {pool}"
            self._log(f"{flow_run.name} waits: no worker of the pool {pool} is online ({command})")

    def _result(self, stage_run: StageRun, flow_run: FlowRun | None) -> StageResult:
        stage = stage_run.stage
        seconds = 0.0 if flow_run is None else flow_run.total_run_time.total_seconds()
        if flow_run is None or flow_run.state is None or not flow_run.state.is_completed():
            return StageResult(stage, Outcome.FAILED, seconds, f"Stage {stage!r}: {_message(flow_run)}")
        if not self._has_outputs(stage):
            error = f"Stage {stage!r} was run, but the remote does not have its outputs"
            return StageResult(stage, Outcome.FAILED, seconds, error)
        return StageResult(stage, Outcome.DONE, seconds)


def _crashed(flow_run: FlowRun | None) -> bool:
    """Return whether a run ended because its process, worker or machine was lost, or because it was deleted."""
    return flow_run is None or flow_run.state is None or flow_run.state.type == StateType.CRASHED


def _message(flow_run: FlowRun | None) -> str:
    if flow_run is None or flow_run.state is None:
        return "its run was deleted from Prefect"
    state = flow_run.state
    return f"{state.name}: {state.message}" if state.message else str(state.name)
