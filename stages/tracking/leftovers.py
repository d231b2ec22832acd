"""What stages could not send to MLflow before they ended: for whoever comes after them."""

from pathlib import Path

from stages.tracking.environment import set_client_defaults
from stages.tracking.outbox import keys_with_pending_records


def send_leftovers(root: Path) -> int:
    """Send what waits in the outboxes below ``root``; returns how many runs have something waiting still."""
    if not keys_with_pending_records(root):
        return 0
    set_client_defaults()
    # Importing MLflow takes 2.3 s, and it reads the environment then.
    from stages.tracking.delivery import Delivery  # noqa: PLC0415

    Delivery(root).deliver_leftovers(except_key="")
    return len(keys_with_pending_records(root))
