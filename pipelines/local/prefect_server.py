"""A Prefect server for the time of one command, where none is configured."""

import atexit
import http.client
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Final

from pipelines.processes.commands import TAG_VARIABLE

DEFAULTS: Final[Mapping[str, str]] = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",
}
_START_SECONDS: Final = 180.0
_STOP_SECONDS: Final = 10.0
HOST: Final = "127.0.0.1"


@dataclass(frozen=True)
class PrefectServer:
    """ui_url: where a browser sees the runs; temporary: whether the server ends with this program."""

    ui_url: str
    temporary: bool


class PrefectServerError(RuntimeError):
    """The temporary server did not come up."""


def set_defaults() -> None:
    """Turn off Prefect's telemetry and stored results, unless the environment says otherwise.

    Prefect reads the environment when it is imported: call this before.
    """
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)


def connect(*, tag: str) -> PrefectServer:
    """Use the configured Prefect server, or start one on a free port that ends with this program.

    It is a real `prefect server start` on the database in PREFECT_HOME: its UI can be watched while stages
    run, and a later server shows them again. It has a session of its own, so that signals which a terminal or
    `kill` sends to the program's group leave it up until the last state is reported. `tag` is its process tag, by
    which a later flow finds and ends it if this program is killed outright.
    Raises PrefectServerError with the server's own words if it does not come up.
    """
    from prefect.context import refresh_global_settings_context  # noqa: PLC0415 - after set_defaults
    from prefect.settings import get_current_settings  # noqa: PLC0415

    settings = get_current_settings()
    if settings.api.url:
        return PrefectServer(ui_url=settings.ui_url or settings.api.url, temporary=False)
    port = free_port()
    process = start_server(port, environment={**os.environ, TAG_VARIABLE: tag})
    # Registered before Prefect's own exit handlers, so run after them: they still send logs and events.
    atexit.register(stop_server, process)
    os.environ["PREFECT_API_URL"] = f"http://{HOST}:{port}/api"
    refresh_global_settings_context()
    return PrefectServer(ui_url=f"http://{HOST}:{port}", temporary=True)


def start_server(port: int, *, environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    """Start `prefect server start` on this machine only and wait until it answers.

    Raises PrefectServerError with the server's own words if it does not.
    """
    address = ["--host", HOST, "--port", str(port)]
    quiet = ["--no-scheduler", "--no-late-runs", "--log-level", "warning"]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "prefect", "--no-prompt", "server", "start", *address, *quiet],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _wait_until_healthy(process, port, log)
        except BaseException:
            stop_server(process)
            raise
    return process


def stop_server(process: "subprocess.Popen[bytes]") -> None:
    """End a server: it may write what it has received, but not take longer than ten seconds."""
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port() -> int:
    """A port of this machine on which nothing listens."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_healthy(process: "subprocess.Popen[bytes]", port: int, log: IO[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not _is_healthy(port):
        if process.poll() is not None or time.monotonic() > deadline:
            log.seek(0)
            output = log.read().decode(errors="replace")
            raise PrefectServerError(f"the temporary Prefect server did not come up; it said:\n{output}")
        time.sleep(0.1)


def _is_healthy(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=2.0)
    try:
        connection.request("GET", "/api/health")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
