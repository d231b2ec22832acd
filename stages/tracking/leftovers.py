"""Sends the records that stages could not send to MLflow before they ended."""

from pathlib import Path

from stages.tracking.environment import set_client_defaults
from stages.tracking.outbox import keys_with_pending_records


def send_leftovers(root: Path) -> int:
    """Send the records in the outboxes below ``root``; return how many runs still have unsent records."""
    if not keys_with_pending_records(root):
        return 0
    set_client_defaults()
    from stages.tracking.delivery import Delivery  # noqa: PLC0415 - imports MLflow

    Delivery(root).deliver_leftovers(except_key="")
    return len(keys_with_pending_records(root))
