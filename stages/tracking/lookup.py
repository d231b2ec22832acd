"""What MLflow knows of runs: read only, for a page that tells of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from stages.tracking.environment import set_client_defaults, tracking_uri

LOCAL_UI = "http://127.0.0.1:5000"
"""Where `make ui` serves a database's runs."""


@dataclass(frozen=True)
class TrackedRun:
    """A run in MLflow; times in seconds since the epoch, the end None while it runs."""

    run_id: str
    experiment_id: str
    name: str
    started_at: float
    ended_at: float | None
    tags: Mapping[str, str]
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Lookup:
    """What was found.

    Attributes:
        runs: by key (`RunIdentity.key`); keys without a run are left out.
        trouble: why nothing could be read, in one line without secrets; empty where all went well.
        interface: address of MLflow's pages, without user and password.
        needs_interface: whether somebody must start MLflow's interface first: the runs are in a database.
    """

    runs: Mapping[str, TrackedRun]
    trouble: str
    interface: str
    needs_interface: bool

    def page_of(self, run: TrackedRun) -> str:
        """Address of the run's page."""
        return f"{self.interface}/#/experiments/{run.experiment_id}/runs/{run.run_id}"


def look_up(experiment: str, keys: Iterable[str]) -> Lookup:
    """Runs of an experiment by their keys. A server that does not answer costs seconds, and is no error."""
    set_client_defaults()
    # Importing MLflow takes 2.3 s, and it reads the environment then.
    from stages.tracking import server  # noqa: PLC0415
    from stages.tracking.stored_runs import find_runs  # noqa: PLC0415

    uri = tracking_uri()
    is_server = urlsplit(uri).scheme in ("http", "https")
    interface = server.without_user_info(uri).rstrip("/") if is_server else LOCAL_UI
    found: Mapping[str, TrackedRun] = {}
    trouble = ""
    try:
        with server.quiet_retries():
            found = find_runs(uri, experiment, frozenset(keys))
    except server.FAILURES as error:
        trouble = server.reason(error, uri=uri)
    return Lookup(found, trouble, interface, needs_interface=not is_server)
