"""Environment variables for MLflow's client; they must be set before MLflow is imported."""

import os

from stages.runtime.project_root import in_project

# With MLflow's own defaults an unreachable server costs minutes, and each new database prints messages.
_DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
_EXPERIMENT_TAGS = {"dvc_exp_name": "DVC_EXP_NAME", "dvc_exp_baseline_rev": "DVC_EXP_BASELINE_REV"}
"""Tags of the runs of an experiment (``dvc exp run``), and the variables in which DVC gives its name and baseline."""


def set_client_defaults() -> None:
    """Set timeouts of seconds, few messages and no telemetry, except where the user has set the variable."""
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    # Always: otherwise MLflow prints the tracking URI with its password when a run ends.
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"


def import_mlflow() -> None:
    """Import MLflow in advance, and what it uses for SQLite or PostgreSQL."""
    set_client_defaults()
    import stages.tracking.delivery  # noqa: F401, PLC0415 - imports MLflow

    if "://" in tracking_uri() and not tracking_uri().startswith("http"):
        import mlflow.store.tracking.sqlalchemy_store  # noqa: F401, PLC0415


def tracking_uri() -> str:
    """Return ``MLFLOW_TRACKING_URI``, or SQLite in the project's root if it is not set."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{in_project('mlflow.db')}"


def experiment_tags() -> dict[str, str]:
    """Return the name of the DVC experiment that this process works for, and its baseline; empty outside of one."""
    return {tag: os.environ[name] for tag, name in _EXPERIMENT_TAGS.items() if os.environ.get(name)}
