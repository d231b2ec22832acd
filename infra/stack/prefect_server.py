"""The Prefect server on PostgreSQL, the step that makes pools and deployments, and the workers."""

import datetime
import sys
from collections.abc import Mapping
from typing import Final

from infra.stack.credentials import HOST, Credentials, Ports
from infra.stack.environment import PREFECT_USER, base_environment
from infra.stack.http_checks import request_json
from infra.stack.layout import PROJECT, Layout
from infra.stack.postgres import databases
from infra.stack.service import Service

CONTROL_LIMIT: Final = 16  # the limit of the pool
_SAVE_SECONDS: Final = 30.0


def prefect_service(layout: Layout, credentials: Credentials, ports: Ports) -> Service:
    """Return the server with its UI. Requests without the auth string get 401."""
    arguments = f"--no-prompt server start --host {HOST} --port {ports.prefect} --log-level warning".split()
    login = _login(credentials)
    return Service(
        name="prefect",
        command=(sys.executable, "-m", "prefect", *arguments),
        environment={
            **base_environment(),
            "PREFECT_HOME": str(layout.prefect / "server"),
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": databases(credentials)["prefect"].url(
                ports, driver="asyncpg"
            ),
            "PREFECT_SERVER_API_AUTH_STRING": login,
            # The default keeps leases in memory: a restart would lose the GPUs' leases and end nightly flows.
            "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
            "PREFECT_API_AUTH_STRING": login,  # the server's own services are clients
            "PREFECT_API_URL": f"http://{HOST}:{ports.prefect}/api",
        },
        cwd=layout.prefect,
        is_ready=lambda: _is_healthy(credentials, ports),
        is_healthy=lambda: _is_healthy(credentials, ports),
        needs=("postgres",),
        ports=(ports.prefect,),
    )


def deploy_step(layout: Layout, variables: Mapping[str, str]) -> Service:
    """Return the step that makes or updates work pools, limits, deployments and automations."""
    return Service(
        name="deploy",
        command=(sys.executable, "-m", "pipelines.cluster.deploy"),
        environment={**base_environment(), **variables, "PREFECT_HOME": str(layout.prefect / "deploy")},
        cwd=PROJECT,
        is_ready=lambda: True,
        is_healthy=lambda: True,
        needs=("prefect",),
        one_shot=True,
    )


def worker_services(
    layout: Layout,
    credentials: Credentials,
    ports: Ports,
    variables: Mapping[str, str],
    *,
    workers: int,
    gpus: int,
) -> list[Service]:
    """Return one worker for flows that wait for stages, `workers` for one CPU stage each, and one for all GPUs."""
    slots = {"worker-control": ("control", CONTROL_LIMIT)}
    slots |= {f"worker-cpu-{number}": ("cpu", 1) for number in range(1, workers + 1)}
    if gpus:
        slots["worker-gpu-1"] = ("gpu", gpus)
    return [
        _worker(layout, credentials, ports, variables, name=name, pool=pool, limit=limit)
        for name, (pool, limit) in slots.items()
    ]


def _worker(
    layout: Layout,
    credentials: Credentials,
    ports: Ports,
    variables: Mapping[str, str],
    *,
    name: str,
    pool: str,
    limit: int,
) -> Service:
    command = ("-m", "prefect", "--no-prompt", "worker", "start", "--pool", pool, "--type", "process")
    started: list[datetime.datetime] = []
    return Service(
        name=name,
        command=(sys.executable, *command, "--name", name, "--limit", str(limit)),
        environment={
            **base_environment(),
            **variables,
            "PREFECT_HOME": str(layout.prefect / name),
            "PREFECT_WORKER_QUERY_SECONDS": "2",
        },
        cwd=PROJECT,
        prepare=lambda: started.append(datetime.datetime.now(datetime.UTC)),
        is_ready=lambda: _is_online(credentials, ports, pool=pool, name=name, since=started[-1]),
        is_healthy=lambda: _is_online(credentials, ports, pool=pool, name=name),
        needs=("prefect", "mlflow", "s3", "deploy"),
        stop_seconds=_SAVE_SECONDS,
        stops_children_first=True,
    )


def _is_online(
    credentials: Credentials, ports: Ports, *, pool: str, name: str, since: datetime.datetime | None = None
) -> bool:
    """Return whether the server shows the worker as online, with a heartbeat after `since`."""
    _, found = request_json(
        ports.prefect,
        f"/api/work_pools/{pool}/workers/filter",
        login=_login(credentials),
        method="POST",
        body={"workers": {"status": {"any_": ["ONLINE"]}}},
    )
    times = [worker["last_heartbeat_time"] for worker in found or [] if worker["name"] == name]
    return any(since is None or datetime.datetime.fromisoformat(time) > since for time in times)


def _is_healthy(credentials: Credentials, ports: Ports) -> bool:
    """Return whether the server accepts the password and reaches its database."""
    body = {"limit": 1}
    path = "/api/work_pools/filter"
    return request_json(ports.prefect, path, login=_login(credentials), method="POST", body=body)[0] == 200


def _login(credentials: Credentials) -> str:
    return f"{PREFECT_USER}:{credentials.prefect}"
