"""The MLflow server with logins. It stores runs in PostgreSQL, and passes artifacts to S3 with its own key."""

import sys
from typing import Final

from infra.make_env import MLFLOW_ADMIN, MLFLOW_BUCKET, MLFLOW_USER
from infra.mlflow_user import MlflowUserError, make_user
from infra.stack.credentials import HOST, Credentials, Ports
from infra.stack.environment import base_environment, s3_environment
from infra.stack.http_checks import request_json
from infra.stack.layout import Layout, write_private
from infra.stack.postgres import databases
from infra.stack.service import Service

_DRIVER: Final = "psycopg2"  # SQLAlchemy 2.1 reads a plain `postgresql://` as psycopg 3


def mlflow_service(layout: Layout, credentials: Credentials, ports: Ports) -> Service:
    """Return the server. Its passwords are in its environment and in a file of mode 600, not in its arguments."""
    arguments = f"--app-name basic-auth --host {HOST} --port {ports.mlflow} --workers 1".split()
    keys = s3_environment(ports, access=credentials.s3_mlflow.access, secret=credentials.s3_mlflow.secret)
    return Service(
        name="mlflow",
        command=(
            *(sys.executable, "-m", "mlflow", "server"),
            *arguments,
            *("--uvicorn-opts", "--log-level warning"),
        ),
        environment={
            **base_environment(),
            **keys,
            "MLFLOW_S3_ENDPOINT_URL": keys["AWS_ENDPOINT_URL"],
            "MLFLOW_BACKEND_STORE_URI": databases(credentials)["mlflow"].url(ports, driver=_DRIVER),
            "MLFLOW_ARTIFACTS_DESTINATION": f"s3://{MLFLOW_BUCKET}/artifacts",
            "MLFLOW_AUTH_CONFIG_PATH": str(layout.mlflow / "auth.ini"),
            "MLFLOW_FLASK_SERVER_SECRET_KEY": credentials.mlflow_session,
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        },
        cwd=layout.mlflow,
        prepare=lambda: _write_configuration(layout, credentials, ports),
        is_ready=lambda: _make_user(credentials, ports) and _is_healthy(credentials, ports),
        is_healthy=lambda: _is_healthy(credentials, ports),
        needs=("postgres",),
        ports=(ports.mlflow,),
    )


def _write_configuration(layout: Layout, credentials: Credentials, ports: Ports) -> None:
    lines = {
        "default_permission": "READ",  # every user reads all runs; only the owner of a run changes it
        "database_uri": databases(credentials)["mlflow_auth"].url(ports, driver=_DRIVER),
        "admin_username": MLFLOW_ADMIN,
        "admin_password": credentials.mlflow_admin,
        "authorization_function": "mlflow.server.auth:authenticate_request_basic_auth",
        "auth_cache_ttl_seconds": "60",  # hashing a password takes 60 ms, and each request sends one
    }
    text = "[mlflow]\n" + "".join(f"{name} = {value}\n" for name, value in lines.items())
    write_private(layout.mlflow / "auth.ini", text)


def _make_user(credentials: Credentials, ports: Ports) -> bool:
    """Make the user of workers and people, who is no administrator. Return whether it exists now."""
    try:
        make_user(
            f"http://{HOST}:{ports.mlflow}",
            admin=(MLFLOW_ADMIN, credentials.mlflow_admin),
            user=(MLFLOW_USER, credentials.mlflow_user),
        )
    except MlflowUserError:
        return False
    return True


def _is_healthy(credentials: Credentials, ports: Ports) -> bool:
    """Return whether the server accepts the user and reaches its database."""
    path = "/api/2.0/mlflow/experiments/get?experiment_id=0"
    return request_json(ports.mlflow, path, login=f"{MLFLOW_USER}:{credentials.mlflow_user}")[0] == 200
