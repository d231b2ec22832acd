"""The stages of a DAG as tasks of the running flow: one task per stage, independent stages in parallel."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas import State
from prefect.futures import PrefectFuture, as_completed
from prefect.states import Cancelled, Completed

from pipelines.dag import StageNode
from pipelines.flow.progress import shown_progress
from pipelines.processes.commands import Log
from pipelines.processes.signals import StopEvents
from pipelines.schedule import Outcome, Schedule, StageFailedError, StageResult, direct_dependencies


class Runner(Protocol):
    """Brings stages up to date, in this process or on a worker. Several threads use it at once."""

    def run(self, stage: StageNode, log: Log) -> StageResult:
        """Bring one stage up to date, whose dependencies are up to date. Return how it ended."""


@task(task_run_name="{stage.name}", persist_result=False, cache_policy=NO_CACHE)
def run_stage(stage: StageNode, runner: Runner) -> StageResult | State[Any]:
    """Bring one stage up to date; log its output and show its progress."""
    with shown_progress(stage.name, get_run_logger().info) as log:
        result = runner.run(stage, log)
    if result.outcome is Outcome.STOPPED:
        return Cancelled(message=result.error, data=result)
    if result.outcome is Outcome.FAILED:
        raise StageFailedError(result)
    return Completed(message=result.outcome.value, data=result)


def run_stages(
    stages: Sequence[StageNode],
    runner: Runner,
    *,
    max_parallel: int | None = None,
    stop: StopEvents,
    after_stage: Callable[[StageResult], None] = lambda result: None,
) -> tuple[StageResult, ...]:
    """Run each stage after its dependencies, at most `max_parallel` at a time. Return all results.

    `after_stage` is called with the result of each stage that ran.

    A stage's task waits for the tasks of its direct dependencies: these are the edges in the graph of the flow run.
    Edges that follow from others are left out, because Prefect's UI draws no arrows in a graph with more than 500.
    """
    schedule = Schedule(stages)
    edges = direct_dependencies(stages)
    tasks: dict[str, PrefectFuture[Any]] = {}
    running: dict[PrefectFuture[Any], StageNode] = {}
    while True:
        while (max_parallel is None or len(running) < max_parallel) and not stop.requested.is_set():
            if (stage := schedule.next_stage()) is None:
                break
            upstream = [tasks[name] for name in sorted(edges[stage.name]) if name in tasks]
            tasks[stage.name] = run_stage.submit(stage, runner, wait_for=upstream, return_state=False)
            running[tasks[stage.name]] = stage
        if not running:
            return schedule.results()
        future = next(as_completed(list(running)))
        result = stage_result(running.pop(future), future)
        schedule.finish(result)
        after_stage(result)


def stage_result(stage: StageNode, future: PrefectFuture[Any]) -> StageResult:
    """Return the result of a finished task. A task that ended without a result counts as failed."""
    future.wait()
    result = future.state.result(raise_on_failure=False)
    if isinstance(result, StageFailedError):
        return result.result
    if isinstance(result, StageResult):
        return result
    return StageResult(name=stage.name, outcome=Outcome.FAILED, error=f"Stage {stage.name!r}: {result!r}")
