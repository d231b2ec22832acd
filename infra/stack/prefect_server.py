"""Prefect's server on PostgreSQL, the step that makes pools and deployments, and the workers."""

import datetime
import sys
from collections.abc import Mapping
from typing import Final

from infra.stack.credentials import HOST, Credentials, Ports
from infra.stack.environment import PREFECT_USER, inherited
from infra.stack.http_checks import answer
from infra.stack.layout import PROJECT, Layout
from infra.stack.postgres import databases
from infra.stack.service import Service

CONTROL_LIMIT: Final = 16  # as the pool has it
_SAVE_SECONDS: Final = 30.0


def prefect_service(layout: Layout, credentials: Credentials, ports: Ports) -> Service:
    """The server with its UI; who has no auth string gets 401."""
    command = (
        "-m",
        "prefect",
        "--no-prompt",
        "server",
        "start",
        "--host",
        HOST,
        "--port",
        str(ports.prefect),
    )
    login = _login(credentials)
    return Service(
        name="prefect",
        command=(sys.executable, *command, "--log-level", "warning"),
        environment={
            **inherited(),
            "PREFECT_HOME": str(layout.prefect / "server"),
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": databases(credentials)["prefect"].url(
                ports, driver="asyncpg"
            ),
            "PREFECT_SERVER_API_AUTH_STRING": login,
            # In memory, the default, a restarted server would forget who holds GPUs and end nightly flows.
            "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
            "PREFECT_API_AUTH_STRING": login,  # its own services are clients
            "PREFECT_API_URL": f"http://{HOST}:{ports.prefect}/api",
        },
        cwd=layout.prefect,
        ready=lambda: _answers(credentials, ports),
        answers=lambda: _answers(credentials, ports),
        needs=("postgres",),
        ports=(ports.prefect,),
    )


def deploy_step(layout: Layout, variables: Mapping[str, str]) -> Service:
    """Makes work pools, limits, deployments and automations, and changes what differs."""
    return Service(
        name="deploy",
        command=(sys.executable, "-m", "pipelines.cluster.deploy"),
        environment={**inherited(), **variables, "PREFECT_HOME": str(layout.prefect / "deploy")},
        cwd=PROJECT,
        ready=lambda: True,
        answers=lambda: True,
        needs=("prefect",),
        once=True,
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
    """One for the flows that wait for others, `workers` that run one CPU stage each, one that fills all GPUs."""
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
            **inherited(),
            **variables,
            "PREFECT_HOME": str(layout.prefect / name),
            "PREFECT_WORKER_QUERY_SECONDS": "2",
        },
        cwd=PROJECT,
        prepare=lambda: started.append(datetime.datetime.now(datetime.UTC)),
        ready=lambda: _polls(credentials, ports, pool=pool, name=name, since=started[-1]),
        answers=lambda: _polls(credentials, ports, pool=pool, name=name),
        needs=("prefect", "mlflow", "s3", "deploy"),
        stop_seconds=_SAVE_SECONDS,
        children_save=True,
    )


def _polls(
    credentials: Credentials, ports: Ports, *, pool: str, name: str, since: datetime.datetime | None = None
) -> bool:
    """Whether the server counts the worker as online, by a heartbeat that came after `since`."""
    _, found = answer(
        ports.prefect,
        f"/api/work_pools/{pool}/workers/filter",
        login=_login(credentials),
        method="POST",
        body={"workers": {"status": {"any_": ["ONLINE"]}}},
    )
    beats = [worker["last_heartbeat_time"] for worker in found or [] if worker["name"] == name]
    return any(since is None or datetime.datetime.fromisoformat(beat) > since for beat in beats)


def _answers(credentials: Credentials, ports: Ports) -> bool:
    """Whether it takes the password and reaches its database."""
    body = {"limit": 1}
    path = "/api/work_pools/filter"
    return answer(ports.prefect, path, login=_login(credentials), method="POST", body=body)[0] == 200


def _login(credentials: Credentials) -> str:
    return f"{PREFECT_USER}:{credentials.prefect}"
