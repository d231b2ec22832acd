"""The configured Prefect server, or a temporary one that ends with the program."""

import atexit
import http.client
import os
import re
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
_ANSWER_SECONDS: Final = 5.0
HOST: Final = "127.0.0.1"


@dataclass(frozen=True)
class PrefectServer:
    """A running server.

    Attributes:
        ui_url: address of its UI.
        temporary: whether it ends with this program.
    """

    ui_url: str
    temporary: bool


class PrefectServerError(RuntimeError):
    """The configured server does not answer, or the temporary one did not start."""


def set_defaults() -> None:
    """Turn off Prefect's telemetry and stored results, unless the environment sets them.

    Call this before Prefect is imported, which reads the environment.
    """
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)


def connect(*, tag: str) -> PrefectServer:
    """Return the configured Prefect server, or start a temporary one on a free port.

    The temporary server is started if none is configured, or if the configured one does not answer, which is printed.
    It is `prefect server start` on the database in PREFECT_HOME, so a later server shows its runs too. It has its own
    session: signals to the program's process group do not end it before the last state is reported. A later flow ends
    processes with the process tag `tag` if this program is killed.

    Raises:
        PrefectServerError: the temporary server does not start; the message has its output.
    """
    from prefect.context import refresh_global_settings_context  # noqa: PLC0415 - after set_defaults

    try:
        if server := configured_server():
            return server
    except PrefectServerError as error:
        print(f"{error}; starting a temporary server.", flush=True)
    port = free_port()
    process = start_server(port, environment={**os.environ, TAG_VARIABLE: tag})
    # Registered before Prefect's exit handlers, so it runs after them: they still send logs and events.
    atexit.register(stop_server, process)
    os.environ["PREFECT_API_URL"] = api_url(port)
    refresh_global_settings_context()
    return PrefectServer(ui_url=f"http://{HOST}:{port}", temporary=True)


def configured_server() -> PrefectServer | None:
    """Return the server of PREFECT_API_URL, from the environment or Prefect's profile; None if it is not set.

    Raises:
        PrefectServerError: the server does not answer.
    """
    from prefect.client.orchestration import get_client  # noqa: PLC0415 - after set_defaults
    from prefect.settings import get_current_settings  # noqa: PLC0415

    settings = get_current_settings()
    if not settings.api.url:
        return None
    with get_client(httpx_settings={"timeout": _ANSWER_SECONDS}, sync_client=True) as client:
        error = client.api_healthcheck()
    if error is not None:
        reason = str(error) or type(error).__name__
        shown = re.sub(r"(?<=://)[^/@]*@", "", settings.api.url)  # without a password
        raise PrefectServerError(f"The Prefect server at {shown} does not answer ({reason})")
    return PrefectServer(ui_url=settings.ui_url or settings.api.url, temporary=False)


def start_server(port: int, *, environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    """Run `prefect server start` for this machine only, and wait until it is healthy.

    Raises:
        PrefectServerError: it is not; the message has the server's output.
    """
    address = ["--host", HOST, "--port", str(port)]
    quiet = ["--no-scheduler", "--no-late-runs", "--log-level", "warning"]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "prefect", "--no-prompt", "server", "start", *address, *quiet],
            env={
                **environment,
                "PREFECT_UI_API_URL": api_url(port),
            },  # else its UI asks the server of PREFECT_API_URL
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


def api_url(port: int) -> str:
    """Return the address of the API of a server on this machine."""
    return f"http://{HOST}:{port}/api"


def stop_server(process: "subprocess.Popen[bytes]") -> None:
    """Send SIGTERM to a server, and SIGKILL after ten seconds."""
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port() -> int:
    """Return a port of this machine that is not in use."""
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
            raise PrefectServerError(f"the temporary Prefect server did not start; its output:\n{output}")
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
