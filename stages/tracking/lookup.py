"""Looks up runs in MLflow, read only; for the report page."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from stages.tracking.environment import set_client_defaults, tracking_uri
from stages.tracking.tracked_run import TrackedRun

LOCAL_UI = "http://127.0.0.1:5000"
"""Address at which `make ui` shows the runs of a database."""


@dataclass(frozen=True)
class Lookup:
    """Result of `look_up`.

    Attributes:
        runs: runs by key (`RunIdentity.key`); keys without a run are left out.
        error: why MLflow could not be read, in one line without secrets; empty without error.
        interface: address of MLflow's user interface, without user and password.
        needs_interface: whether the user interface must be started first, because the runs are in a database.
    """

    runs: Mapping[str, TrackedRun]
    error: str
    interface: str
    needs_interface: bool

    def page_of(self, run: TrackedRun) -> str:
        """Return the address of the run's page."""
        page = f"{self.interface}/#/experiments/{run.experiment_id}/runs/{run.run_id}"
        return f"{page}?workflowType=machine_learning"  # otherwise the page shows traces of language models


def look_up(experiment: str, keys: Iterable[str]) -> Lookup:
    """Find runs of an experiment by their keys; an unavailable server costs seconds and is reported in the result."""
    set_client_defaults()
    from stages.tracking import server  # noqa: PLC0415 - imports MLflow
    from stages.tracking.stored_runs import find_runs  # noqa: PLC0415 - imports MLflow

    uri = tracking_uri()
    found: Mapping[str, TrackedRun] = {}
    error_text = ""
    try:
        with server.quiet_retries():
            found = find_runs(uri, experiment, frozenset(keys))
    except server.FAILURES as error:
        error_text = server.reason(error, uri=uri)
    return Lookup(found, error_text, interface_of(uri), needs_interface=not _is_server(uri))


def interface_of(uri: str, *, local: str = LOCAL_UI) -> str:
    """Return the address of MLflow's user interface, without user and password; ``local`` for a database."""
    from stages.tracking.server import without_user_info  # noqa: PLC0415 - imports MLflow

    return without_user_info(uri).rstrip("/") if _is_server(uri) else local


def _is_server(uri: str) -> bool:
    return urlsplit(uri).scheme in ("http", "https")
