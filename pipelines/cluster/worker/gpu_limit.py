"""The cluster's count of GPUs: a limit of Prefect's server, whose slots a stage holds while it runs."""

import contextlib
from contextlib import AbstractContextManager
from typing import Final

from prefect.concurrency.sync import concurrency

from pipelines.cluster.server_setup import GPU_LIMIT

LEASE_SECONDS: Final = 300.0
"""After so long the slots of a holder that was killed come free; a living one renews its lease before."""


def cluster_gpu_slots(count: int, *, lease_seconds: float = LEASE_SECONDS) -> AbstractContextManager[None]:
    """Hold slots while the body runs; wait for them, so that no more stages start than there are GPUs.

    A holder whose lease cannot be renewed, since the server is away or has lost it, goes on: that is no reason to end a
    training of days. It is no longer counted, so others may be let through too early; they wait on their machine, whose
    leases (`pipelines.cluster.worker.gpus`) keep each GPU for one stage alone.

    Raises ConcurrencySlotAcquisitionError if the server has no such limit.
    """
    if not count:
        return contextlib.nullcontext()
    return concurrency(
        GPU_LIMIT,
        occupy=count,
        strict=True,
        lease_duration=lease_seconds,
        raise_on_lease_renewal_failure=False,
    )
