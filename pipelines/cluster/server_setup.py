"""What a Prefect server must know before deployments: work pools, the limit for GPUs, what becomes of zombie runs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.client.schemas.objects import StateType, WorkPool
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import Automation, AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.workers.process import ProcessWorker

GPU_LIMIT: Final = "gpus"
PROCESS: Final = "process"
ZOMBIES: Final = "Mark zombie runs as crashed"
UNSTARTED: Final = "Mark runs that were taken and not started as crashed"
HEARTBEAT: Final = "prefect.flow-run.heartbeat"
PENDING: Final = "prefect.flow-run.Pending"
RUNNING: Final = "prefect.flow-run.Running"
ENDINGS: Final = frozenset(
    f"prefect.flow-run.{end}" for end in ("Completed", "Failed", "Cancelled", "Crashed")
)


class SetupError(RuntimeError):
    """The server does not take what it is told; the message says what to do."""


@dataclass(frozen=True)
class Pool:
    """A work pool as it should be.

    limit: runs of the whole pool at a time; None for as many as its workers take. template: the base job template
    of a pool that is not of processes.
    """

    name: str
    description: str
    limit: int | None = None
    kind: str = PROCESS
    template: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class MissingEvent:
    """Nothing for `window` seconds after an event of a run: neither what is expected nor an end.

    related: labels of another resource that the run's events must name.
    """

    after: str
    expected: str
    window: float
    related: Mapping[str, list[str]] = field(default_factory=dict)


async def ensure_pool(client: PrefectClient, pool: Pool) -> str:
    """Make the pool as it should be; return what was done about it. Raises SetupError if it is of another type."""
    try:
        present = await client.read_work_pool(pool.name)
    except ObjectNotFound:
        return await _create_pool(client, pool)
    if present.type != pool.kind:
        raise SetupError(
            f"work pool {pool.name} is of type {present.type}, not {pool.kind}: delete it first, with "
            f"`prefect work-pool delete {pool.name}`, which also deletes its deployments"
        )
    changes = dict(_changes(pool, present))
    if not changes:
        return "as it was"
    await client.update_work_pool(pool.name, WorkPoolUpdate(**changes))
    return f"changed: {', '.join(sorted(changes))}"


async def _create_pool(client: PrefectClient, pool: Pool) -> str:
    template = pool.template
    if template is None:
        if pool.kind != PROCESS:
            raise SetupError(
                f"work pool {pool.name} of type {pool.kind} needs --pool-template {pool.name}=FILE"
            )
        template = ProcessWorker.get_default_base_job_template()
    wanted = WorkPoolCreate(
        name=pool.name,
        description=pool.description,
        type=pool.kind,
        base_job_template=dict(template),
        concurrency_limit=pool.limit,
    )
    try:
        await client.create_work_pool(wanted)
    except ObjectAlreadyExists:  # another deploy at the same time
        return await ensure_pool(client, pool)
    return "made"


def _changes(pool: Pool, present: WorkPool) -> Iterator[tuple[str, Any]]:
    if present.concurrency_limit != pool.limit:
        yield "concurrency_limit", pool.limit
    if present.description != pool.description:
        yield "description", pool.description
    if pool.template is not None and present.base_job_template != pool.template:
        yield "base_job_template", dict(pool.template)


async def ensure_gpu_limit(client: PrefectClient, gpus: int) -> None:
    """Set the number of the cluster's GPUs.

    Slots do not decay: a training holds its GPUs for days. A holder renews its lease, and the slots of one that was
    killed come free when its lease ends (`concurrency(..., lease_duration=)`).
    """
    await client.upsert_global_concurrency_limit_by_name(GPU_LIMIT, gpus, slot_decay_per_second=0.0)


def zombie_automation(window: float) -> AutomationCore:
    """Marks a run as Crashed that has shown its first sign of life, and no other nor an end for `window` seconds.

    After Prefect's documentation, "How to detect and respond to zombie flows".
    """
    return _crash_runs(
        ZOMBIES,
        "A run whose worker's machine is gone would be Running for ever",
        MissingEvent(after=HEARTBEAT, expected=HEARTBEAT, window=window),
        message=f"no sign of life for {window:g} s",
    )


def unstarted_automation(window: float) -> AutomationCore:
    """Marks a run as Crashed that a worker took `window` seconds ago, and whose process has not begun.

    Of process pools alone: a pod or container may wait for its image or a node, and its worker watches it.
    """
    return _crash_runs(
        UNSTARTED,
        "A run whose worker died before it started a process would be Pending for ever",
        MissingEvent(
            after=PENDING,
            expected=RUNNING,
            window=window,
            related={"prefect.resource.role": ["work-pool"], "prefect.work-pool.type": [PROCESS]},
        ),
        message=f"taken by a worker, and not started within {window:g} s",
    )


def _crash_runs(name: str, description: str, silence: MissingEvent, *, message: str) -> AutomationCore:
    return AutomationCore(
        name=name,
        description=description,
        trigger=EventTrigger(
            match=ResourceSpecification({"prefect.resource.id": ["prefect.flow-run.*"]}),
            match_related=ResourceSpecification(dict(silence.related)),
            for_each={"prefect.resource.id"},
            after={silence.after},
            expect={silence.expected, *ENDINGS},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=silence.window),
        ),
        actions=[ChangeFlowRunState(state=StateType.CRASHED, name=None, message=message, force=False)],
    )


async def ensure_automation(client: PrefectClient, wanted: AutomationCore) -> str:
    """Make the automation of this name as it should be, and the only one; return what was done about it."""
    present: list[Automation] = await client.read_automations_by_name(wanted.name)
    for double in present[1:]:
        await client.delete_automation(double.id)
    if not present:
        await client.create_automation(wanted)
        return "made"
    if _same(present[0], wanted):
        return "as it was"
    await client.update_automation(present[0].id, wanted)
    return "changed"


def _same(present: Automation, wanted: AutomationCore) -> bool:
    kept = set(AutomationCore.model_fields) - {"owner_resource"}

    def content(automation: AutomationCore) -> Any:
        dumped = automation.model_dump(include=kept)
        dumped["trigger"].pop("id", None)  # the server's own
        return dumped

    return bool(content(present) == content(wanted))
