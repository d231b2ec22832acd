"""MLflow with logins, on PostgreSQL, handing on artifacts to the S3 server with its own key."""

import sys
from typing import Final

from infra.make_env import MLFLOW_BUCKET
from infra.stack.credentials import HOST, Credentials, Ports
from infra.stack.environment import MLFLOW_USER, inherited, s3_environment
from infra.stack.http_checks import answer
from infra.stack.layout import Layout, write_private
from infra.stack.postgres import databases
from infra.stack.service import Service

ADMIN: Final = "admin"
_DRIVER: Final = "psycopg2"  # SQLAlchemy 2.1 takes the plain `postgresql://` for psycopg 3


def mlflow_service(layout: Layout, credentials: Credentials, ports: Ports) -> Service:
    """The server; its passwords are in the environment and in a file of mode 600, not in its arguments."""
    command = (
        "-m",
        "mlflow",
        "server",
        "--app-name",
        "basic-auth",
        "--host",
        HOST,
        "--port",
        str(ports.mlflow),
    )
    keys = s3_environment(ports, access=credentials.s3_mlflow.access, secret=credentials.s3_mlflow.secret)
    return Service(
        name="mlflow",
        command=(sys.executable, *command, "--workers", "1", "--uvicorn-opts", "--log-level warning"),
        environment={
            **inherited(),
            **keys,
            "MLFLOW_S3_ENDPOINT_URL": keys["AWS_ENDPOINT_URL"],
            "MLFLOW_BACKEND_STORE_URI": databases(credentials)["mlflow"].url(ports, driver=_DRIVER),
            "MLFLOW_ARTIFACTS_DESTINATION": f"s3://{MLFLOW_BUCKET}/artifacts",
            "MLFLOW_AUTH_CONFIG_PATH": str(layout.mlflow / "auth.ini"),
            "MLFLOW_FLASK_SERVER_SECRET_KEY": credentials.mlflow_session,
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        },
        cwd=layout.mlflow,
        prepare=lambda: _prepare(layout, credentials, ports),
        ready=lambda: _make_user(credentials, ports) and _answers(credentials, ports),
        answers=lambda: _answers(credentials, ports),
        needs=("postgres",),
        ports=(ports.mlflow,),
    )


def _prepare(layout: Layout, credentials: Credentials, ports: Ports) -> None:
    lines = {
        "default_permission": "READ",  # others see a run; who made it may change it
        "database_uri": databases(credentials)["mlflow_auth"].url(ports, driver=_DRIVER),
        "admin_username": ADMIN,
        "admin_password": credentials.mlflow_admin,
        "authorization_function": "mlflow.server.auth:authenticate_request_basic_auth",
        "auth_cache_ttl_seconds": "60",  # a password costs 60 ms of hashing, and each request brings one
    }
    text = "[mlflow]\n" + "".join(f"{name} = {value}\n" for name, value in lines.items())
    write_private(layout.mlflow / "auth.ini", text)


def _make_user(credentials: Credentials, ports: Ports) -> bool:
    """Workers and people are one user without the administrator's rights; no change if it exists."""
    login = f"{ADMIN}:{credentials.mlflow_admin}"
    body = {"username": MLFLOW_USER, "password": credentials.mlflow_user}
    status, said = answer(ports.mlflow, "/api/2.0/mlflow/users/create", login=login, method="POST", body=body)
    return status == 200 or (isinstance(said, dict) and said.get("error_code") == "RESOURCE_ALREADY_EXISTS")


def _answers(credentials: Credentials, ports: Ports) -> bool:
    """Whether it knows the user and reaches its database."""
    path = "/api/2.0/mlflow/experiments/get?experiment_id=0"
    return answer(ports.mlflow, path, login=f"{MLFLOW_USER}:{credentials.mlflow_user}")[0] == 200
