"""An MLflow run as plain data."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class TrackedRun:
    """A run in MLflow; times in seconds since the epoch, ``ended_at`` is None while the run is running."""

    run_id: str
    experiment_id: str
    name: str
    started_at: float
    ended_at: float | None
    tags: Mapping[str, str]
    metrics: Mapping[str, float]
