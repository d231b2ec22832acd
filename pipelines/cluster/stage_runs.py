"""Flow runs of stages in Prefect: start them on the work pool of their resources, read and cancel them."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId, FlowRunFilterIdempotencyKey
from prefect.client.schemas.objects import FlowRun, StateType, WorkPoolStatus
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.states import Cancelling
from prefect.tasks import Task

from pipelines.cluster.server_setup import GPU_LIMIT
from pipelines.processes.commands import Log
from pipelines.resources import Resources

DEPLOYMENT = "run-stage/{pool}"
SERVER_RETRY_SECONDS = 900.0
"""For how long requests are retried while Prefect's server is unavailable."""
_PAUSE_SECONDS = 5.0
_MAX_ATTEMPTS = 1000

_Result = TypeVar("_Result")


class DeploymentMissingError(RuntimeError):
    """Prefect has no deployment for a pool."""


@dataclass(frozen=True)
class StageRun:
    """A flow run of a stage.

    Attributes:
        stage: DVC's address of the stage.
        flow_run_id: Prefect's id.
        relaunches: how often the stage was started again after a crash.
    """

    stage: str
    flow_run_id: UUID
    relaunches: int = 0


class StageRuns:
    """Start and read flow runs of stages; requests are retried while the server is unavailable.

    The idempotency key of a run is the stage's key in the run-cache, so two flows that need the same stage share a run.

    Args:
        client: client of Prefect's server.
        parent: the flow run that starts the stages; its page shows them.
        log: function that logs one line.
    """

    def __init__(self, client: SyncPrefectClient, *, parent: UUID | None = None, log: Log) -> None:
        self._client = client
        self._parent = parent
        self._log = log
        self._deployments: dict[str, UUID] = {}

    def missing_resources(self, resources: Resources) -> str:
        """Return which resources the cluster does not have at all, and what to do; empty if it has them."""
        if not resources.gpus:
            return ""
        needs = f"it needs {resources.gpus} GPU{'s' if resources.gpus > 1 else ''}"
        deploy = "`python -m pipelines.cluster.deploy --gpus N`"
        try:
            slots = self._retry(lambda: self._client.read_global_concurrency_limit_by_name(GPU_LIMIT)).limit
        except ObjectNotFound:
            return f"{needs}, and Prefect has no limit {GPU_LIMIT}; run {deploy} once"
        if slots < resources.gpus:
            return f"{needs}, and the cluster's limit {GPU_LIMIT}, set by {deploy}, is {slots}"
        return ""

    def is_without_workers(self, pool: str) -> bool:
        """Return whether no worker of a pool is online."""
        return self._retry(lambda: self._client.read_work_pool(pool)).status == WorkPoolStatus.NOT_READY

    def start(self, stage: str, key: str, resources: Resources, parameters: Mapping[str, Any]) -> StageRun:
        """Start a run of a stage, or return the unfinished run that another flow started.

        Raises:
            DeploymentMissingError: the pool has no deployment.
        """
        deployment = self._deployment(resources.pool)
        for attempt in range(_MAX_ATTEMPTS):
            attempt_key = f"{key}:{attempt}"
            run = self._find(attempt_key) or self._create(
                deployment, stage, attempt_key, resources, parameters
            )
            if run.state is None or not run.state.is_final():
                return StageRun(stage, run.id)
        raise RuntimeError(f"{stage} was started {_MAX_ATTEMPTS} times with the same inputs")

    def read(self, stage_runs: Sequence[StageRun]) -> dict[UUID, FlowRun]:
        """Read the runs by id. Deleted runs are missing in the result."""
        ids = FlowRunFilterId(any_=[stage_run.flow_run_id for stage_run in stage_runs])
        runs = self._retry(
            lambda: self._client.read_flow_runs(flow_run_filter=FlowRunFilter(id=ids), limit=len(stage_runs))
        )
        return {run.id: run for run in runs}

    def was_cancelled(self, flow_run_id: UUID) -> bool:
        """Return whether a run was cancelled. After its process has ended, Prefect shows it as Crashed at first."""
        states = self._retry(lambda: self._client.read_flow_run_states(flow_run_id))
        return any(state.type in (StateType.CANCELLING, StateType.CANCELLED) for state in states)

    def cancel(self, stage_runs: Sequence[StageRun]) -> None:
        """Cancel runs. Their stages have time to save their work."""
        for stage_run in stage_runs:
            self._retry(
                lambda stage_run=stage_run: self._client.set_flow_run_state(  # type: ignore[misc]
                    stage_run.flow_run_id, Cancelling(message="the flow that started it was stopped")
                )
            )

    def _find(self, key: str) -> FlowRun | None:
        wanted = FlowRunFilter(idempotency_key=FlowRunFilterIdempotencyKey(any_=[key]))
        found = self._retry(lambda: self._client.read_flow_runs(flow_run_filter=wanted, limit=1))
        return found[0] if found else None

    def _create(
        self, deployment: UUID, stage: str, key: str, resources: Resources, parameters: Mapping[str, Any]
    ) -> FlowRun:
        """Create a run. If another flow has just created one with this key, Prefect returns that."""
        placeholder = self._placeholder(stage, key)
        return self._retry(
            lambda: self._client.create_flow_run_from_deployment(
                deployment,
                name=stage,
                parameters={**parameters, "stage": stage, "gpus": resources.gpus},
                idempotency_key=key,
                parent_task_run_id=placeholder,
                # For pods and containers; processes lease GPUs instead (pipelines.cluster.worker.gpus).
                job_variables={"gpus": resources.gpus} if resources.gpus else None,
            )
        )

    def _placeholder(self, stage: str, key: str) -> UUID | None:
        """Create the task that shows a run on the page of its parent. The server copies the run's states to it."""
        if self._parent is None:
            return None
        return self._retry(
            lambda: self._client.create_task_run(Task(_stage), self._parent, dynamic_key=key, name=stage)
        ).id

    def _deployment(self, pool: str) -> UUID:
        if pool not in self._deployments:
            name = DEPLOYMENT.format(pool=pool)
            try:
                found = self._retry(lambda: self._client.read_deployment_by_name(name))
            except ObjectNotFound as error:
                message = f"Prefect has no deployment {name}; run `python -m pipelines.cluster.deploy` once"
                raise DeploymentMissingError(message) from error
            self._deployments[pool] = found.id
        return self._deployments[pool]

    def _retry(self, call: Callable[[], _Result]) -> _Result:
        """Return the result of a request; retry it while the server is unavailable."""
        deadline = time.monotonic() + SERVER_RETRY_SECONDS
        logged = False
        while True:
            try:
                return call()
            except (httpx.TransportError, PrefectHTTPStatusError) as error:
                if not _is_unavailable(error) or time.monotonic() > deadline:
                    raise
                if not logged:
                    self._log(f"Prefect's server is unavailable ({type(error).__name__}); retrying")
                    logged = True
                time.sleep(_PAUSE_SECONDS)


def _stage() -> None:
    """Represent a stage's run among the tasks of its parent. It is never called."""


def _is_unavailable(error: httpx.TransportError | PrefectHTTPStatusError) -> bool:
    return (
        isinstance(error, httpx.TransportError)
        or error.response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR
    )
