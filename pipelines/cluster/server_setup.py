"""Set up work pools, the limit for GPUs, and automations for lost runs and notifications on a Prefect server."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.client.schemas.objects import StateType, WorkPool
from prefect.events.actions import ChangeFlowRunState, SendNotification
from prefect.events.schemas.automations import Automation, AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.workers.process import ProcessWorker

from pipelines.cluster.worker.gpu_limit import GPU_LIMIT

PROCESS: Final = "process"
ZOMBIES: Final = "Mark zombie runs as crashed"
UNSTARTED: Final = "Mark runs that were taken and not started as crashed"
FAILURES: Final = "Notify of failed and crashed flows"
NOTIFYING_FLOWS: Final = ("reproduce", "train-one")
HEARTBEAT: Final = "prefect.flow-run.heartbeat"
PENDING: Final = "prefect.flow-run.Pending"
RUNNING: Final = "prefect.flow-run.Running"
ENDINGS: Final = frozenset(
    f"prefect.flow-run.{end}" for end in ("Completed", "Failed", "Cancelled", "Crashed")
)


NOTIFICATION_SUBJECT: Final = "{{ flow.name }} {{ flow_run.name }}: {{ flow_run.state.name }}"
NOTIFICATION_BODY: Final = """\
{{ flow.name }} {{ flow_run.name }} ended {{ flow_run.state.name }}: {{ flow_run.state.message }}
"""


class SetupError(RuntimeError):
    """The server cannot be set up. The message says what to do."""


@dataclass(frozen=True)
class Pool:
    """The wanted settings of a work pool.

    Attributes:
        name, description: as in Prefect's UI.
        limit: how many runs of the pool run at a time; None for no limit.
        kind: Prefect's type of the pool.
        template: the base job template; only if `kind` is not `process`.
    """

    name: str
    description: str
    limit: int | None = None
    kind: str = PROCESS
    template: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class MissingEvent:
    """The condition that neither an expected event nor an end of a run follows another event of it.

    Attributes:
        after: the first event.
        expected: the event that should follow.
        window: seconds to wait for it.
        related: labels of a resource that is related to the events.
    """

    after: str
    expected: str
    window: float
    related: Mapping[str, list[str]] = field(default_factory=dict)


async def ensure_pool(client: PrefectClient, pool: Pool) -> str:
    """Create or change a pool. Return what was done.

    Raises:
        SetupError: the pool has another type.
    """
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
        return "unchanged"
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
    return "created"


def _changes(pool: Pool, present: WorkPool) -> Iterator[tuple[str, Any]]:
    if present.concurrency_limit != pool.limit:
        yield "concurrency_limit", pool.limit
    if present.description != pool.description:
        yield "description", pool.description
    if pool.template is not None and present.base_job_template != pool.template:
        yield "base_job_template", dict(pool.template)


async def ensure_gpu_limit(client: PrefectClient, gpus: int) -> None:
    """Set the number of GPUs of the cluster.

    Slots do not decay: a training holds its GPUs for days. A holder renews its lease; the slots of a killed holder are
    free when its lease ends (`concurrency(..., lease_duration=)`).
    """
    await client.upsert_global_concurrency_limit_by_name(GPU_LIMIT, gpus, slot_decay_per_second=0.0)


def zombie_automation(window: float) -> AutomationCore:
    """Return the automation that marks a run as Crashed `window` seconds after its last heartbeat.

    See "How to detect and respond to zombie flows" in Prefect's documentation.
    """
    return _crash_runs(
        ZOMBIES,
        "Without this, a run on a lost machine stays Running forever",
        MissingEvent(after=HEARTBEAT, expected=HEARTBEAT, window=window),
        message=f"no heartbeat for {window:g} s",
    )


def unstarted_automation(window: float) -> AutomationCore:
    """Return the automation that marks a run as Crashed if it is not Running `window` seconds after a worker took it.

    It applies to process pools only: a pod or container may wait for its image or a node, and its worker watches it.
    """
    return _crash_runs(
        UNSTARTED,
        "Without this, a run whose worker died before starting a process stays Pending forever",
        MissingEvent(
            after=PENDING,
            expected=RUNNING,
            window=window,
            related={"prefect.resource.role": ["work-pool"], "prefect.work-pool.type": [PROCESS]},
        ),
        message=f"not started within {window:g} s after a worker took it",
    )


def _crash_runs(name: str, description: str, missing: MissingEvent, *, message: str) -> AutomationCore:
    return AutomationCore(
        name=name,
        description=description,
        trigger=EventTrigger(
            match=ResourceSpecification({"prefect.resource.id": ["prefect.flow-run.*"]}),
            match_related=ResourceSpecification(dict(missing.related)),
            for_each={"prefect.resource.id"},
            after={missing.after},
            expect={missing.expected, *ENDINGS},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=missing.window),
        ),
        actions=[ChangeFlowRunState(state=StateType.CRASHED, name=None, message=message, force=False)],
    )


def failure_automation(block: UUID, *, ui_url: str) -> AutomationCore:
    """Return the automation that sends a message with a notification block if a flow that starts stages fails.

    The message has the address of the run below `ui_url`: a server does not know its own address unless it is set.
    """
    body = f"{NOTIFICATION_BODY}{ui_url}/runs/flow-run/{{{{ flow_run.id }}}}"
    return AutomationCore(
        name=FAILURES,
        description="Sends the state and the address of a failed or crashed run of reproduce, nightly or train-one",
        trigger=EventTrigger(
            match=ResourceSpecification({"prefect.resource.id": ["prefect.flow-run.*"]}),
            match_related=ResourceSpecification(
                {"prefect.resource.role": ["flow"], "prefect.resource.name": list(NOTIFYING_FLOWS)}
            ),
            for_each={"prefect.resource.id"},
            expect={"prefect.flow-run.Failed", "prefect.flow-run.Crashed"},
            posture=Posture.Reactive,
            threshold=1,
        ),
        actions=[SendNotification(block_document_id=block, subject=NOTIFICATION_SUBJECT, body=body)],
    )


async def notification_block(client: PrefectClient, slug: str) -> UUID:
    """Return the id of a notification block, given as `TYPE/NAME` such as `slack-webhook/team`.

    Raises:
        SetupError: there is no such block, or blocks of its type send no notifications.
    """
    kind, _, name = slug.partition("/")
    advice = (
        "create one in Prefect's UI, and give TYPE/NAME, such as slack-webhook/team or sendgrid-email/team"
    )
    try:
        block = await client.read_block_document_by_name(name, kind, include_secrets=False)
    except ObjectNotFound as error:
        raise SetupError(f"Prefect has no notification block {slug}: {advice}") from error
    if block.block_schema is None or "notify" not in block.block_schema.capabilities:
        raise SetupError(f"the block {slug} sends no notifications: {advice}")
    return block.id


async def remove_automation(client: PrefectClient, name: str) -> bool:
    """Delete the automations of this name. Return whether there was one."""
    present = await client.read_automations_by_name(name)
    for automation in present:
        await client.delete_automation(automation.id)
    return bool(present)


async def ensure_automation(client: PrefectClient, wanted: AutomationCore) -> str:
    """Create or change the automation of this name, and delete duplicates. Return what was done."""
    present: list[Automation] = await client.read_automations_by_name(wanted.name)
    for duplicate in present[1:]:
        await client.delete_automation(duplicate.id)
    if not present:
        await client.create_automation(wanted)
        return "created"
    if _is_same(present[0], wanted):
        return "unchanged"
    await client.update_automation(present[0].id, wanted)
    return "changed"


def _is_same(present: Automation, wanted: AutomationCore) -> bool:
    kept = set(AutomationCore.model_fields) - {"owner_resource"}

    def content(automation: AutomationCore) -> Any:
        dumped = automation.model_dump(include=kept)
        dumped["trigger"].pop("id", None)  # set by the server
        return dumped

    return bool(content(present) == content(wanted))
