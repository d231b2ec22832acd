"""The environment variables of clients, servers and workers."""

import os
import shlex
from collections.abc import Mapping
from typing import Final

from infra.make_env import DVC_BUCKET, MLFLOW_USER
from infra.stack.credentials import HOST, Credentials, Ports
from infra.stack.errors import StackError
from infra.stack.layout import Layout, write_private

REGION: Final = "us-east-1"
PREFECT_USER: Final = "lzn"
_COMMON: Final[Mapping[str, str]] = {
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",
}
# Not inherited: the user's settings for other servers.
_REMOVED_PREFIXES: Final = ("PREFECT_", "MLFLOW_", "AWS_", "LZN_", "PG", "WEED_", "DVC_")


def client_environment(
    layout: Layout, credentials: Credentials, ports: Ports, *, gpus: int, repository: str, branches: str
) -> dict[str, str]:
    """Return the variables of workers, flows and users of the stack.

    gpus: number of the cluster's GPUs. repository: where workers fetch commits. branches: those whose commits they run.
    """
    return {
        **_COMMON,
        "LZN_REPOSITORY": repository,
        "LZN_BRANCHES": branches,
        "LZN_WORK": str(layout.work),
        "LZN_DVC_REMOTE": f"s3://{DVC_BUCKET}/cache",
        "LZN_GPUS": str(gpus),
        **s3_environment(ports, access=credentials.s3_dvc.access, secret=credentials.s3_dvc.secret),
        "MLFLOW_TRACKING_URI": f"http://{HOST}:{ports.mlflow}",
        "MLFLOW_TRACKING_USERNAME": MLFLOW_USER,
        "MLFLOW_TRACKING_PASSWORD": credentials.mlflow_user,
        "PREFECT_API_URL": f"http://{HOST}:{ports.prefect}/api",
        "PREFECT_API_AUTH_STRING": f"{PREFECT_USER}:{credentials.prefect}",
        **_without_proxy(),
    }


def s3_environment(ports: Ports, *, access: str, secret: str) -> dict[str, str]:
    """Return the variables that boto3 and the libraries on top of it read."""
    return {
        "AWS_ACCESS_KEY_ID": access,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_ENDPOINT_URL": f"http://{HOST}:{ports.s3}",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def base_environment() -> dict[str, str]:
    """Return this process's environment without the user's settings for other servers."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(_REMOVED_PREFIXES)}
    return {**own, **_COMMON, **_without_proxy()}


def write_env_file(layout: Layout, variables: Mapping[str, str]) -> None:
    """Write lines `export NAME=value` for shells, with mode 600."""
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    write_private(layout.env, "\n".join(lines) + "\n")


def read_env_file(layout: Layout) -> dict[str, str]:
    """Read the variables of the env file. Raises StackError if the file does not exist."""
    try:
        words = shlex.split(layout.env.read_text(encoding="utf-8"), comments=True)
    except FileNotFoundError:
        raise StackError(f"there is no stack in {layout.root}: start one with `up`") from None
    return dict(word.split("=", maxsplit=1) for word in words if word != "export")


def _without_proxy() -> dict[str, str]:
    """Return variables that exclude this machine from a proxy."""
    exceptions = {HOST, "localhost", *filter(None, os.environ.get("NO_PROXY", "").split(","))}
    return {"NO_PROXY": ",".join(sorted(exceptions)), "no_proxy": ",".join(sorted(exceptions))}
