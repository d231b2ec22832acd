"""The stages of `dvc repro` as a Prefect flow on one machine."""

from collections.abc import Sequence
from typing import Any

from dvc.exceptions import DvcException
from prefect import flow, get_run_logger
from prefect.client.schemas import State
from prefect.states import Completed, Failed

from lzn.base.sections import ParamsError
from pipelines.dag import DEFAULT_TARGETS, StageNode, read_dag
from pipelines.flow.messages import as_utf8
from pipelines.flow.preview import Preview
from pipelines.flow.publishing import publish_results
from pipelines.flow.stage_tasks import run_stages
from pipelines.local.partial_reports import PartialReports
from pipelines.processes.commands import Limits
from pipelines.processes.dvc_lock import dvc_lock_in_plan_order
from pipelines.processes.exclusive_project import ProjectBusyError, exclusive_project, process_tag
from pipelines.processes.guard import orphan_guard
from pipelines.processes.signals import stop_on_signals
from pipelines.processes.stage_runner import StageRunner
from pipelines.schedule import failure_message, summary_table
from pipelines.sizes import PARAMS_FILE

ONE_DAY = 24 * 3600.0
HALF_A_MINUTE = 30.0
LOCAL = "local"
"""The artifact with the list of stages is `stages-local`; on a cluster it is `stages-SIZE`."""


@flow(name="reproduce-locally", persist_result=False)
def reproduce_locally(
    targets: Sequence[str] = DEFAULT_TARGETS,
    max_parallel: int = 2,
    timeout_seconds: float = ONE_DAY,
    grace_seconds: float = HALF_A_MINUTE,
    dry_run: bool = False,
) -> State[Any]:
    """Bring `targets` and their dependencies up to date. If stages fail, the flow fails with their errors.

    Args:
        targets: as for `dvc repro`.
        max_parallel: how many stages run at a time.
        timeout_seconds: time limit of each stage.
        grace_seconds: time for the stage to save its work before it is killed.
        dry_run: list the stages to run and those already there, and start none.
    """
    log = get_run_logger()
    limits = Limits(timeout=timeout_seconds, grace=grace_seconds)
    try:
        with exclusive_project(), stop_on_signals() as stop:
            stages = read_dag(targets)
            preview = preview_of(stages)
            log.info("%s", preview)
            preview.publish(LOCAL, log.warning)
            if dry_run:
                return Completed(message=f"dry run: {preview.summary}")
            with (
                orphan_guard(process_tag(""), grace=grace_seconds),
                dvc_lock_in_plan_order(stages),
                PartialReports(log.warning) as reports,
            ):
                runner = StageRunner(limits=limits, stop=stop)
                results = run_stages(
                    stages, runner, max_parallel=max_parallel, stop=stop, after_stage=reports.after_stage
                )
            log.info("Stages:\n%s", summary_table(results))
            if not stop.requested.is_set() and PARAMS_FILE.exists():
                publish_results(PARAMS_FILE, log.warning)
    except (DvcException, ParamsError, ProjectBusyError) as error:
        failure = as_utf8(str(error))
    else:
        failure = failure_message(results)
    if failure:
        log.error("%s", failure)
        return Failed(message=failure)  # not raised: Prefect would store a flow's exception as a pickle
    return Completed(message=f"up to date: {len(results)} stages")


def preview_of(stages: Sequence[StageNode]) -> Preview:
    """Return which stages DVC would run."""
    present = {stage.name for stage in stages if not stage.needs_check}
    return Preview.of((stage.name for stage in stages), present=present)
