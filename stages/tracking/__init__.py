"""MLflow tracking: one MLflow run for each trained seed, to which all stages of the pipeline add.

with Tracker.open(RunIdentity("lzn-digits", "rf_lzn, seed 0", key, parent=family), tags={}) as tracker:
    tracker.log_params({"learning_rate": 1e-3})
    tracker.log_metrics([MetricRow(step=1, timestamp_ms=..., values={"train/loss": 0.7})])
    tracker.finish()

A stage calls `tracker`, which appends `records` to the `outbox` on disk; `delivery` sends them with `run_writer`, which
knows MLflow's calls. It calls `experiments` (experiments, runs and their parents), `metric_writer` and `model_writer`.
`server` connects to the server or database, `environment` sets the client's environment variables, `leftovers` sends
what ended stages left in the outbox. `system_metrics` measures the use of the machine.

`seed_identity` names the run of a seed (level seed), its parent (level family, with means over seeds) and its model;
`data` names the data. Reading is separate: `lookup` finds runs with `stored_runs` and returns them as `tracked_run`.
`saved_views` has two views of the user interface, and `view` prints the address of one.

Importing MLflow takes 2.3 s, and MLflow reads the environment when it is imported. So only `delivery`, the writers,
`experiments`, `server` and `stored_runs` import it, and others import these in functions, after `set_client_defaults`.
`import_mlflow` does so in advance.
"""

from stages.tracking.environment import import_mlflow
from stages.tracking.identity import RunIdentity
from stages.tracking.leftovers import send_leftovers
from stages.tracking.lookup import Lookup, look_up
from stages.tracking.records import DatasetInput, MetricRow, Scalar
from stages.tracking.tracked_run import TrackedRun
from stages.tracking.tracker import Tracker

__all__ = [
    "DatasetInput",
    "Lookup",
    "MetricRow",
    "RunIdentity",
    "Scalar",
    "TrackedRun",
    "Tracker",
    "import_mlflow",
    "look_up",
    "send_leftovers",
]
