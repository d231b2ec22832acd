"""The stages of `dvc repro` as a Prefect flow: one task per stage, independent stages in parallel."""

from collections.abc import Sequence
from typing import Any

from dvc.exceptions import DvcException
from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas import State
from prefect.futures import PrefectFuture, as_completed
from prefect.states import Cancelled, Completed, Failed

from pipelines.dag import DEFAULT_TARGETS, StageNode, read_dag
from pipelines.processes.commands import Limits
from pipelines.processes.dvc_lock import dvc_lock_in_plan_order
from pipelines.processes.exclusive_project import ProjectBusyError, exclusive_project, process_tag
from pipelines.processes.guard import orphan_guard
from pipelines.processes.signals import StopEvents, stop_on_signals
from pipelines.processes.stage_runner import StageRunner
from pipelines.schedule import (
    Outcome,
    Schedule,
    StageFailedError,
    StageResult,
    failure_message,
    summary_table,
)

ONE_DAY = 24 * 3600.0
HALF_A_MINUTE = 30.0


@task(task_run_name="{stage.name}", persist_result=False, cache_policy=NO_CACHE)
def run_stage(stage: StageNode, runner: StageRunner) -> StageResult | State[Any]:
    """Bring one stage up to date, and log its output."""
    result = runner.run(stage, log=get_run_logger().info)
    if result.outcome is Outcome.STOPPED:
        return Cancelled(message=result.error, data=result)
    if result.outcome is Outcome.FAILED:
        raise StageFailedError(result)
    return result


@flow(name="reproduce-locally", persist_result=False)
def reproduce_locally(
    targets: Sequence[str] = DEFAULT_TARGETS,
    max_parallel: int = 2,
    timeout_seconds: float = ONE_DAY,
    grace_seconds: float = HALF_A_MINUTE,
) -> State[Any]:
    """Bring `targets` and their dependencies up to date. If stages fail, the flow fails with their errors.

    Args:
        targets: as for `dvc repro`.
        max_parallel: how many stages run at a time.
        timeout_seconds: time limit of each stage.
        grace_seconds: time for a stage to save its work before it is killed.
    """
    limits = Limits(timeout=timeout_seconds, grace=grace_seconds)
    try:
        with exclusive_project(), stop_on_signals() as stop:
            stages = read_dag(targets)
            with orphan_guard(process_tag(""), grace=grace_seconds), dvc_lock_in_plan_order(stages):
                results = run_stages(stages, max_parallel, StageRunner(limits=limits, stop=stop), stop)
            get_run_logger().info("Stages:\n%s", summary_table(results))
    except (DvcException, ProjectBusyError) as error:
        failure = str(error)
    else:
        failure = failure_message(results)
    if failure:
        get_run_logger().error("%s", failure)
        return Failed(message=failure)  # not raised: Prefect would store a flow's exception as a pickle
    return Completed(message=f"up to date: {len(results)} stages")


def run_stages(
    stages: Sequence[StageNode], max_parallel: int, runner: StageRunner, stop: StopEvents
) -> tuple[StageResult, ...]:
    """Run each stage after its dependencies, at most `max_parallel` at a time. Return all results."""
    schedule = Schedule(stages)
    running: dict[PrefectFuture[Any], StageNode] = {}
    while True:
        while len(running) < max_parallel and not stop.requested.is_set():
            if (stage := schedule.next_stage()) is None:
                break
            running[run_stage.submit(stage, runner)] = stage
        if not running:
            return schedule.results()
        future = next(as_completed(list(running)))
        schedule.finish(stage_result(running.pop(future), future))


def stage_result(stage: StageNode, future: PrefectFuture[Any]) -> StageResult:
    """Return the result of a finished task. A task that ended without a result counts as failed."""
    future.wait()
    result = future.state.result(raise_on_failure=False)
    if isinstance(result, StageFailedError):
        return result.result
    if isinstance(result, StageResult):
        return result
    return StageResult(name=stage.name, outcome=Outcome.FAILED, error=f"Stage {stage.name!r}: {result!r}")
