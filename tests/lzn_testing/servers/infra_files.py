"""Read the files of `infra/`, with the names that they may contain."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from lzn_testing import PROJECT

INFRA = PROJECT / "infra"

CLIENT_VARIABLES = frozenset(
    {
        "LZN_REPOSITORY",
        "LZN_BRANCHES",
        "LZN_DVC_REMOTE",
        "LZN_WORK",
        "LZN_SHARED_STATE",
        "LZN_GPUS",
        "LZN_NOTIFY",
        "LZN_S3_BLOCK",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_ENDPOINT_URL",
        "AWS_DEFAULT_REGION",
        "MLFLOW_TRACKING_URI",
        "MLFLOW_TRACKING_USERNAME",
        "MLFLOW_TRACKING_PASSWORD",
        "PREFECT_API_URL",
        "PREFECT_API_AUTH_STRING",
    }
)
"""The variables that workers and flows read; compose.yaml and the manifests set exactly these."""

SERVER_VARIABLES = frozenset(
    {
        "POSTGRES_PASSWORD_FILE",
        "POSTGRES_INITDB_ARGS",
        "PGDATA",
        "PGHOST",
        "PGUSER",
        "PGPASSWORD",
        "POSTGRES_MLFLOW_PASSWORD",
        "POSTGRES_PREFECT_PASSWORD",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_ENDPOINT_URL",
        "AWS_DEFAULT_REGION",
        "MLFLOW_TRACKING_URI",
        "MLFLOW_TRACKING_USERNAME",
        "MLFLOW_TRACKING_PASSWORD",
        "MLFLOW_BACKEND_STORE_URI",
        "MLFLOW_ARTIFACTS_DESTINATION",
        "MLFLOW_AUTH_ADMIN_USERNAME",
        "MLFLOW_AUTH_ADMIN_PASSWORD",
        "MLFLOW_FLASK_SERVER_SECRET_KEY",
        "MLFLOW_SERVER_ALLOWED_HOSTS",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION",
        "PREFECT_SERVER_DATABASE_CONNECTION_URL",
        "PREFECT_SERVER_API_AUTH_STRING",
        "PREFECT_SERVER_UI_API_URL",
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE",
    }
)

SECRET_NAME = re.compile(r"password|secret|auth_string|access_key|_store_uri|connection_url", re.IGNORECASE)
"""Matches names of variables whose values must not be in a file."""

PINNED_IMAGE = re.compile(r"[\w./-]+:(?!latest)[\w.-]*\d[\w.-]*")


def read_yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def values_below(item: Any) -> Iterator[Any]:
    """Yield every mapping, list and plain value of a document, parents first."""
    yield item
    children = item.values() if isinstance(item, Mapping) else item if isinstance(item, list) else ()
    for child in children:
        yield from values_below(child)
