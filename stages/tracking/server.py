"""The way to the MLflow server or database: client, what counts as its failure, what may be printed."""

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

# What MLflow's client raises when a server, database or artifact store is away, full, or refuses us. A store
# whose driver is not installed must not stop a training either: hence ImportError.
FAILURES = (MlflowException, SQLAlchemyError, OSError, ImportError)

_USER_INFO = re.compile(r"(?<=://)\S*@")
_CAUSE = re.compile(r"\[Errno -?\d+\] [A-Za-z ]+|timed out")
_SECRETS = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")


def connect(uri: str) -> MlflowClient:
    """A client for ``uri``; a missing SQLite database is made first. Raises one of ``FAILURES``."""
    database = sqlite_file(uri)
    if database is None:
        return MlflowClient(tracking_uri=uri)
    database.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{database}.lock"):
        if not database.exists():
            _create_database(database)
        return MlflowClient(tracking_uri=uri)


def sqlite_file(uri: str) -> Path | None:
    """Absolute path of the database that ``uri`` names; None when it is no SQLite file."""
    if not uri.startswith("sqlite"):
        return None
    name = make_url(uri).database
    return Path(name).absolute() if name and name != ":memory:" else None


def _create_database(database: Path) -> None:
    """Runs MLflow's migrations (3 s) beside the final place: if killed, they leave no half-made database."""
    draft = database.with_name(f"{database.name}.new")
    for leftover in (draft, draft.with_name(f"{draft.name}-journal")):
        leftover.unlink(missing_ok=True)
    MlflowClient(tracking_uri=f"sqlite:///{draft}")
    draft.replace(database)


@contextmanager
def quiet_retries() -> Iterator[None]:
    """Keeps urllib3 from reporting each repeated request: the caller reports the failure, once."""
    logger = logging.getLogger("urllib3.connectionpool")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def is_refused(error: Exception) -> bool:
    """Whether the server understood the request and will never accept it: sending it again is useless."""
    return isinstance(error, MlflowException) and error.error_code == "INVALID_PARAMETER_VALUE"


def printable(uri: str) -> str:
    """``uri`` without user, password, path and query."""
    if uri.startswith("sqlite"):
        return uri
    parts = urlsplit(without_user_info(uri))
    return f"{parts.scheme}://{parts.netloc}"


def without_user_info(uri: str) -> str:
    """``uri`` without user and password."""
    return _USER_INFO.sub("", uri)


def reason(error: Exception, *, uri: str) -> str:
    """Why ``error`` happened, in one line without secrets.

    MLflow quotes the tracking URI, a malformed one in pieces: with a password in it no message is repeated.
    """
    text = " ".join(str(error).split())
    if cause := _CAUSE.search(text):  # an unreachable server; the rest is the way through three libraries
        return cause.group()
    kind = getattr(error, "error_code", None) or type(error).__name__
    secrets = [value for value in map(os.environ.get, _SECRETS) if value]
    if _USER_INFO.search(uri) or any(secret in text for secret in secrets):
        return kind
    return f"{kind}: {text if len(text) <= 300 else f'{text[:80]} ... {text[-200:]}'}"
