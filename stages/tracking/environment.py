"""What MLflow's client is told through the environment, before it is imported."""

import os

# MLflow's own defaults make an unreachable server cost minutes, and announce every new database.
_DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
DEFAULT_TRACKING_URI = "sqlite:///mlflow.db"


def set_client_defaults() -> None:
    """Patience of seconds, no chatter, no telemetry; what the user has set stays."""
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    # Not a matter of taste: at a run's end MLflow prints the tracking URI, password and all.
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"


def tracking_uri() -> str:
    """``MLFLOW_TRACKING_URI``, or SQLite in the current directory."""
    return os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_TRACKING_URI
