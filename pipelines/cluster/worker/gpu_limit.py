"""The number of GPUs of the cluster: a concurrency limit of Prefect's server. A stage holds its slots while it runs."""

import contextlib
from contextlib import AbstractContextManager
from typing import Final

from prefect.concurrency.sync import concurrency

GPU_LIMIT: Final = "gpus"
"""The name of the limit on Prefect's server."""
LEASE_SECONDS: Final = 300.0
"""The slots of a killed holder are free after this time. A running holder renews its lease before."""


def cluster_gpu_slots(count: int, *, lease_seconds: float = LEASE_SECONDS) -> AbstractContextManager[None]:
    """Wait for `count` slots, and hold them inside the block.

    If the lease cannot be renewed, because the server is unavailable or has lost it, the block continues: a training
    may have run for days. Its slots are then no longer counted, so other stages may start too early. They wait on their
    machine, whose leases (`pipelines.cluster.worker.gpus`) are exclusive.

    Raises:
        ConcurrencySlotAcquisitionError: the server has no such limit.
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
