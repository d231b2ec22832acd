"""Environment variables for MLflow's client; they must be set before MLflow is imported."""

import os

# With MLflow's own defaults an unreachable server costs minutes, and each new database prints messages.
_DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
DEFAULT_TRACKING_URI = "sqlite:///mlflow.db"


def set_client_defaults() -> None:
    """Set timeouts of seconds, few messages and no telemetry, except where the user has set the variable."""
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    # Always: otherwise MLflow prints the tracking URI with its password when a run ends.
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"


def tracking_uri() -> str:
    """Return ``MLFLOW_TRACKING_URI``, or SQLite in the current folder if it is not set."""
    return os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_TRACKING_URI
