"""Flow runs of stages in Prefect: start them on the work pool of their resources, wait for them and cancel them."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas import State
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId, FlowRunFilterIdempotencyKey
from prefect.client.schemas.objects import FlowRun, StateType, WorkPoolStatus
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.states import Cancelling

from pipelines.cluster.worker.gpu_limit import GPU_LIMIT
from pipelines.processes.commands import Log
from pipelines.processes.signals import StopEvents
from pipelines.resources import Resources

DEPLOYMENT = "run-stage/{pool}"
POLL_SECONDS = 2.0
SERVER_RETRY_SECONDS = 900.0
"""For how long requests are retried while Prefect's server is unavailable."""
LATE = "Late"
"""Prefect's name for the state of a scheduled run that no worker has taken for 15 s."""
_PAUSE_SECONDS = 5.0
_MAX_ATTEMPTS = 1000

_Result = TypeVar("_Result")


class DeploymentMissingError(RuntimeError):
    """Prefect has no deployment for a pool."""


class StageRuns:
    """Start and read flow runs of stages; requests are retried while the server is unavailable.

    The idempotency key of a run is the stage's key in the run-cache, so two flows that need the same stage share a run.
    Several threads may use it at once.

    Args:
        client: client of Prefect's server.
        log: function that logs one line.
    """

    def __init__(self, client: SyncPrefectClient, *, log: Log) -> None:
        self._client = client
        self._log = log
        self._waiting: dict[UUID, FlowRun | None] = {}
        self._read_at = time.monotonic()
        self._warned_pools: set[str] = set()
        self._lock = threading.Lock()

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

    def start(self, stage: str, key: str, resources: Resources, parameters: Mapping[str, Any]) -> FlowRun:
        """Start a run of a stage below the running task, or return the unfinished run that another flow started.

        Raises:
            DeploymentMissingError: the pool has no deployment.
        """
        for attempt in range(_MAX_ATTEMPTS):
            attempt_key = f"{key}:{attempt}"
            run = self._find(attempt_key) or self._create(stage, attempt_key, resources, parameters)
            if run.state is None or not run.state.is_final():
                return run
        raise RuntimeError(f"{stage} was started {_MAX_ATTEMPTS} times with the same inputs")

    def wait(self, run: FlowRun, stop: StopEvents) -> FlowRun | None:
        """Wait until a run has ended or a stop is requested, and return its state then; None if it was deleted.

        Prefect's own calls wait for one run, do not return on a stop request, and end with an error while the server
        is down: in a measurement, `wait_for_flow_run` within 8 s, and `run_deployment` after 67 s.
        """
        with self._lock:
            self._waiting[run.id] = run
        try:
            while (newest := self._waiting[run.id]) is not None and not _is_final(newest):
                self._warn_if_no_worker(newest)
                if stop.requested.wait(POLL_SECONDS):
                    break
                self._read_all()
            return newest
        finally:
            with self._lock:
                del self._waiting[run.id]

    def was_cancelled(self, flow_run_id: UUID) -> bool:
        """Return whether a run was cancelled. After its process has ended, Prefect shows it as Crashed at first."""
        states = self._retry(lambda: self._client.read_flow_run_states(flow_run_id))
        return any(state.type in (StateType.CANCELLING, StateType.CANCELLED) for state in states)

    def cancel(self, flow_run_id: UUID) -> None:
        """Cancel a run. Its stage has time to save its work."""
        state: State[Any] = Cancelling(message="the flow that started it was stopped")
        self._retry(lambda: self._client.set_flow_run_state(flow_run_id, state))

    def _read_all(self) -> None:
        """Read all runs that threads wait for, with one request in each interval."""
        with self._lock:
            if time.monotonic() - self._read_at < POLL_SECONDS / 2:
                return
            ids = FlowRunFilterId(any_=list(self._waiting))
            found = self._retry(
                lambda: self._client.read_flow_runs(
                    flow_run_filter=FlowRunFilter(id=ids), limit=len(ids.any_ or [])
                )
            )
            runs = {run.id: run for run in found}
            self._waiting = {run_id: runs.get(run_id) for run_id in self._waiting}
            self._read_at = time.monotonic()

    def _warn_if_no_worker(self, run: FlowRun) -> None:
        """Log, once per pool, that no worker of the pool is online."""
        pool = run.work_pool_name
        if run.state is None or run.state.name != LATE or pool is None or pool in self._warned_pools:
            return
        if self.is_without_workers(pool):
            self._warned_pools.add(pool)
            command = f"python -m infra.worker --pool {pool}"
            self._log(f"{run.name} waits: no worker of the pool {pool} is online ({command})")

    def _find(self, key: str) -> FlowRun | None:
        wanted = FlowRunFilter(idempotency_key=FlowRunFilterIdempotencyKey(any_=[key]))
        found = self._retry(lambda: self._client.read_flow_runs(flow_run_filter=wanted, limit=1))
        return found[0] if found else None

    def _create(self, stage: str, key: str, resources: Resources, parameters: Mapping[str, Any]) -> FlowRun:
        """Create a run. If another flow has just created one with this key, Prefect returns that."""
        name = DEPLOYMENT.format(pool=resources.pool)

        def create() -> FlowRun:
            with (
                self._lock
            ):  # Prefect numbers the runs of a deployment within a flow, and does not lock the counter
                started = run_deployment(
                    name,
                    parameters={**parameters, "stage": stage, "gpus": resources.gpus},
                    flow_run_name=stage,
                    timeout=0,
                    idempotency_key=key,
                    as_subflow=True,
                    # For pods and containers; processes lease GPUs instead (pipelines.cluster.worker.gpus).
                    job_variables={"gpus": resources.gpus} if resources.gpus else None,
                )
            return cast(FlowRun, started)  # outside of asyncio it is no coroutine

        try:
            return self._retry(create)
        except ObjectNotFound as error:
            message = f"Prefect has no deployment {name}; run `python -m pipelines.cluster.deploy` once"
            raise DeploymentMissingError(message) from error

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


def _is_final(run: FlowRun) -> bool:
    return run.state is not None and run.state.is_final()


def _is_unavailable(error: httpx.TransportError | PrefectHTTPStatusError) -> bool:
    return (
        isinstance(error, httpx.TransportError)
        or error.response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR
    )
