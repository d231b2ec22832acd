"""Stages as runs of their own in Prefect: started on the work pool of their resources, watched, cancelled."""

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
SERVER_PATIENCE_SECONDS = 900.0
"""For how long Prefect's server may be away before the flow gives up."""
_PAUSE_SECONDS = 5.0
_MAX_ATTEMPTS = 1000

_Result = TypeVar("_Result")


class DeploymentMissingError(RuntimeError):
    """Prefect has no deployment for a pool."""


@dataclass(frozen=True)
class StageRun:
    """A stage's run in Prefect. relaunches: how often it was started anew after a crash."""

    stage: str
    flow_run_id: UUID
    relaunches: int = 0


class StageRuns:
    """Starts and watches runs of stages, bearing with a server that is away for a while.

    A run is named by what decides the stage's outputs, so that two flows that need the same stage share one run.

    Args:
        parent: the flow run that starts them, on whose page they are shown.
    """

    def __init__(self, client: SyncPrefectClient, *, parent: UUID | None = None, log: Log) -> None:
        self._client = client
        self._parent = parent
        self._log = log
        self._deployments: dict[str, UUID] = {}

    def missing_resources(self, resources: Resources) -> str:
        """What a stage with these resources would wait for in vain, and what to do about it; empty if nothing."""
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
        """Whether no worker of a pool is online."""
        return self._retry(lambda: self._client.read_work_pool(pool)).status == WorkPoolStatus.NOT_READY

    def start(self, stage: str, key: str, resources: Resources, parameters: Mapping[str, Any]) -> StageRun:
        """Start a stage's run, or join the one that another flow started and that has not ended.

        Raises DeploymentMissingError if nothing was deployed for its pool.
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

    def read(self, children: Sequence[StageRun]) -> dict[UUID, FlowRun]:
        """How the runs are now, by their id; those that somebody deleted are missing."""
        ids = FlowRunFilterId(any_=[child.flow_run_id for child in children])
        runs = self._retry(
            lambda: self._client.read_flow_runs(flow_run_filter=FlowRunFilter(id=ids), limit=len(children))
        )
        return {run.id: run for run in runs}

    def was_cancelled(self, flow_run_id: UUID) -> bool:
        """Whether somebody cancelled a run. Prefect shows it as Crashed at first, when its process has ended."""
        states = self._retry(lambda: self._client.read_flow_run_states(flow_run_id))
        return any(state.type in (StateType.CANCELLING, StateType.CANCELLED) for state in states)

    def cancel(self, children: Sequence[StageRun]) -> None:
        """Ask workers to end the runs; they give stages time to save their work."""
        for child in children:
            self._retry(
                lambda child=child: self._client.set_flow_run_state(  # type: ignore[misc]
                    child.flow_run_id, Cancelling(message="the flow that started it was stopped")
                )
            )

    def _find(self, key: str) -> FlowRun | None:
        wanted = FlowRunFilter(idempotency_key=FlowRunFilterIdempotencyKey(any_=[key]))
        found = self._retry(lambda: self._client.read_flow_runs(flow_run_filter=wanted, limit=1))
        return found[0] if found else None

    def _create(
        self, deployment: UUID, stage: str, key: str, resources: Resources, parameters: Mapping[str, Any]
    ) -> FlowRun:
        """The new run, or the one that another flow made with this key a moment ago."""
        placeholder = self._placeholder(stage, key)
        return self._retry(
            lambda: self._client.create_flow_run_from_deployment(
                deployment,
                name=stage,
                parameters={**parameters, "stage": stage, "gpus": resources.gpus},
                idempotency_key=key,
                parent_task_run_id=placeholder,
                # What a pod or container asks for; a worker's own processes lease GPUs (pipelines.cluster.worker.gpus).
                job_variables={"gpus": resources.gpus} if resources.gpus else None,
            )
        )

    def _placeholder(self, stage: str, key: str) -> UUID | None:
        """The task by which Prefect shows a run on its parent's page; the server gives it the run's states."""
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
        """Ask the server, again and again while it is away."""
        deadline = time.monotonic() + SERVER_PATIENCE_SECONDS
        told = False
        while True:
            try:
                return call()
            except (httpx.TransportError, PrefectHTTPStatusError) as error:
                if not _is_away(error) or time.monotonic() > deadline:
                    raise
                if not told:
                    self._log(f"Prefect's server does not answer ({type(error).__name__}); waiting for it")
                    told = True
                time.sleep(_PAUSE_SECONDS)


def _stage() -> None:
    """Stands for a stage's run among its parent's tasks; it is never called."""


def _is_away(error: httpx.TransportError | PrefectHTTPStatusError) -> bool:
    return (
        isinstance(error, httpx.TransportError)
        or error.response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR
    )
