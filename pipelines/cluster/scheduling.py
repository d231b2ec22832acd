"""The loop of a distributed flow: start what can start, wait, relaunch what crashed, hand on what is made."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from prefect.client.schemas.objects import FlowRun, StateType

from pipelines.cluster.remote.resolution import Resolution
from pipelines.cluster.stage_runs import StageRun, StageRuns
from pipelines.dag import StageNode
from pipelines.processes.commands import Log
from pipelines.processes.signals import StopEvents
from pipelines.resources import Resources
from pipelines.schedule import Outcome, Schedule, StageResult

POLL_SECONDS = 2.0
LATE = "Late"
"""How Prefect names the state of a scheduled run that no worker has taken for 15 s."""


@dataclass(frozen=True)
class LaunchOptions:
    """How stages are started: all with these parameters, each with the resources that `resources_of` tells.

    max_relaunches: how often a stage is started anew after a crash; one that failed by itself is not.
    """

    parameters: Mapping[str, Any]
    resources_of: Callable[[str], Resources]
    max_relaunches: int


class SchedulerLoop:
    """Runs the stages of a DAG on workers, each as soon as what it depends on is made."""

    def __init__(
        self,
        resolution: Resolution,
        children: StageRuns,
        launch: LaunchOptions,
        *,
        stop: StopEvents,
        log: Log,
    ) -> None:
        self._resolution = resolution
        self._stage_runs = children
        self._launch = launch
        self._stop = stop
        self._log = log
        self._running: list[StageRun] = []
        self._pools_told_of: set[str] = set()

    def run(self, dependencies: Mapping[str, frozenset[str]]) -> tuple[StageResult, ...]:
        """Run what is not made; a stop request cancels what runs."""
        schedule = Schedule([StageNode.unchecked(name, needed) for name, needed in dependencies.items()])
        while True:
            self._start_ready(schedule)
            if self._stop.requested.is_set():
                self._stage_runs.cancel(self._running)
                for child in self._running:
                    schedule.finish(StageResult(child.stage, Outcome.STOPPED, error="was stopped"))
                return schedule.results()
            if not self._running:
                return schedule.results()
            self._stop.requested.wait(POLL_SECONDS)
            for result in self._ended():
                schedule.finish(result)

    def _start_ready(self, schedule: Schedule) -> None:
        while not self._stop.requested.is_set() and (node := schedule.next_stage()) is not None:
            if self._resolution.find(node.name):
                schedule.finish(StageResult(node.name, Outcome.UP_TO_DATE))
            elif missing_resources := self._stage_runs.missing_resources(
                self._launch.resources_of(node.name)
            ):
                error = f"Stage {node.name!r}: {missing_resources}"
                schedule.finish(StageResult(node.name, Outcome.FAILED, error=error))
            else:
                self._running.append(self._start(node.name))

    def _start(self, name: str) -> StageRun:
        resources = self._launch.resources_of(name)
        gpus = f" with {resources.gpus} GPUs" if resources.gpus else ""
        child = self._stage_runs.start(name, self._resolution.key(name), resources, self._launch.parameters)
        self._log(f"{name}: on pool {resources.pool}{gpus}")
        return child

    def _ended(self) -> list[StageResult]:
        """Results of the runs that ended; those that crashed are started anew instead, so far as they may be."""
        runs = self._stage_runs.read(self._running)
        results: list[StageResult] = []
        for child in list(self._running):
            run = runs.get(child.flow_run_id)
            if run is not None and (run.state is None or not run.state.is_final()):
                self._tell_if_nobody_takes(run)
                continue
            self._running.remove(child)
            if self._is_relaunched(child, run):
                self._log(f"{child.stage} crashed ({_message(run)}); starting it again")
                self._running.append(replace(self._start(child.stage), relaunches=child.relaunches + 1))
            else:
                results.append(self._result(child, run))
                self._log(f"{child.stage}: {results[-1].outcome.value}")
        return results

    def _is_relaunched(self, child: StageRun, run: FlowRun | None) -> bool:
        """Whether a stage is started anew: it crashed, not too often, and not since somebody cancelled it."""
        if not _crashed(run) or child.relaunches >= self._launch.max_relaunches:
            return False
        return run is None or not self._stage_runs.was_cancelled(run.id)

    def _tell_if_nobody_takes(self, run: FlowRun) -> None:
        """Say once a pool that nothing there will run before somebody starts a worker."""
        pool = run.work_pool_name
        if run.state is None or run.state.name != LATE or pool is None or pool in self._pools_told_of:
            return
        if self._stage_runs.is_without_workers(pool):
            self._pools_told_of.add(pool)
            self._log(
                f"{run.name} waits: no worker of the pool {pool} is online (python -m infra.worker --pool {pool})"
            )

    def _result(self, child: StageRun, run: FlowRun | None) -> StageResult:
        seconds = 0.0 if run is None else run.total_run_time.total_seconds()
        if run is None or run.state is None or not run.state.is_completed():
            error = f"Stage {child.stage!r}: {_message(run)}"
            return StageResult(child.stage, Outcome.FAILED, seconds, error)
        if not self._resolution.find(child.stage):
            error = f"Stage {child.stage!r} was run, but the remote does not have its outputs"
            return StageResult(child.stage, Outcome.FAILED, seconds, error)
        return StageResult(child.stage, Outcome.DONE, seconds)


def _crashed(run: FlowRun | None) -> bool:
    """Whether a run ended through no fault of its stage: its process, worker or machine was lost, or it was deleted."""
    return run is None or run.state is None or run.state.type == StateType.CRASHED


def _message(run: FlowRun | None) -> str:
    if run is None or run.state is None:
        return "its run was deleted from Prefect"
    return f"{run.state.name}: {run.state.message}" if run.state.message else str(run.state.name)
