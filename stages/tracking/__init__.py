"""MLflow tracking: every run of the pipeline is one MLflow run, to which all of its stages add.

with Tracker.open(RunIdentity("lzn-digits", "rf_lzn", key), tags={"stage": "train"}) as tracker:
    tracker.log_params({"learning_rate": 1e-3})
    tracker.log_metrics([MetricRow(step=1, timestamp_ms=..., values={"loss": 0.7})])
    tracker.finish()
"""

from stages.tracking.entries import MetricRow, RunIdentity, Scalar
from stages.tracking.leftovers import send_leftovers
from stages.tracking.lookup import Lookup, TrackedRun, look_up
from stages.tracking.tracker import Tracker

__all__ = [
    "Lookup",
    "MetricRow",
    "RunIdentity",
    "Scalar",
    "TrackedRun",
    "Tracker",
    "look_up",
    "send_leftovers",
]
