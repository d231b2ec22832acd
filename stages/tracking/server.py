"""Connection to the MLflow server or database: the client, its failures, and text about them without secrets."""

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from filelock import FileLock
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from stages.tracking.artifact_places import re_root

# What MLflow's client raises when a server, database or artifact store is unavailable, full, or refuses a request.
# ImportError: the driver of an artifact store is not installed, which must not stop a training either.
FAILURES = (MlflowException, SQLAlchemyError, OSError, ImportError)

# BAD_REQUEST: among others, what a database does not store twice. ENDPOINT_NOT_FOUND: an older server.
_REFUSED = {
    "INVALID_PARAMETER_VALUE", "BAD_REQUEST", "MALFORMED_REQUEST", "INVALID_STATE", "RESOURCE_DOES_NOT_EXIST",
    "RESOURCE_ALREADY_EXISTS", "RESOURCE_CONFLICT", "ENDPOINT_NOT_FOUND", "NOT_IMPLEMENTED",
}  # fmt: skip

_USER_INFO = re.compile(r"(?<=://)\S*@")
_CAUSE = re.compile(r"\[Errno -?\d+\] [A-Za-z ]+|timed out")
_SECRETS = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")


def connect(uri: str) -> MlflowClient:
    """Return a client for ``uri``; create a missing SQLite database first. Raises one of ``FAILURES``."""
    database = sqlite_file(uri)
    if database is None:
        return MlflowClient(tracking_uri=uri)
    database.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{database}.lock", mode=0o666):  # the umask decides, as for other files
        if not database.exists():
            _create_database(database)
        re_root(database)
        return MlflowClient(tracking_uri=uri)


def sqlite_file(uri: str) -> Path | None:
    """Return the absolute path of the SQLite database that ``uri`` names; None if it names something else."""
    if not uri.startswith("sqlite"):
        return None
    name = make_url(uri).database
    return Path(name).absolute() if name and name != ":memory:" else None


def artifact_root(uri: str) -> Path | None:
    """Return the folder of artifacts beside a SQLite database; None if the server decides it."""
    database = sqlite_file(uri)
    return None if database is None else database.parent / "mlartifacts"


def _create_database(database: Path) -> None:
    """Run MLflow's migrations (3 s) in another file and rename it: a killed process leaves no partial database."""
    draft = database.with_name(f"{database.name}.new")
    for leftover in (draft, draft.with_name(f"{draft.name}-journal")):
        leftover.unlink(missing_ok=True)
    MlflowClient(tracking_uri=f"sqlite:///{draft}")
    draft.replace(database)


@contextmanager
def quiet_retries() -> Iterator[None]:
    """Keep urllib3 from reporting each repeated request; the caller reports the failure once."""
    logger = logging.getLogger("urllib3.connectionpool")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def is_refused(error: Exception) -> bool:
    """Return whether the server rejects the request itself, so that sending it again is useless."""
    return isinstance(error, MlflowException) and error.error_code in _REFUSED


def printable(uri: str) -> str:
    """Return ``uri`` without user, password, path and query."""
    if uri.startswith("sqlite"):
        return uri
    parts = urlsplit(without_user_info(uri))
    return f"{parts.scheme}://{parts.netloc}"


def without_user_info(uri: str) -> str:
    """Return ``uri`` without user and password."""
    return _USER_INFO.sub("", uri)


def reason(error: Exception, *, uri: str) -> str:
    """Return the cause of ``error`` in one line without secrets.

    MLflow quotes the tracking URI, also parts of a malformed one. So if the URI has a password, only the kind of the
    error is returned.
    """
    text = " ".join(str(error).split())
    if cause := _CAUSE.search(
        text
    ):  # unreachable server: the rest of the message names the three libraries between
        return cause.group()
    kind = getattr(error, "error_code", None) or type(error).__name__
    secrets = [value for value in map(os.environ.get, _SECRETS) if value]
    if _USER_INFO.search(uri) or any(secret in text for secret in secrets):
        return kind
    return f"{kind}: {text if len(text) <= 300 else f'{text[:80]} ... {text[-200:]}'}"
