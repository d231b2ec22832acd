"""A real Prefect server that asks for a password, in a temporary folder."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lzn_testing import PROJECT
from lzn_testing.servers.prefect_api import PrefectApi
from pipelines.local.prefect_server import DEFAULTS, HOST, free_port, start_server, stop_server

AUTH_STRING = "lzn:a password of this test"


@dataclass(frozen=True)
class PrefectWithPassword:
    """The server. client: the variables by which a program is a client of it, and finds this project and its tests."""

    api: PrefectApi
    client: Mapping[str, str]

    @property
    def environment(self) -> dict[str, str]:
        """A client's: these variables, and nothing of this machine's own settings for Prefect."""
        return {**neutral_environment(), **self.client}

    def run(self, *command: str) -> None:
        """This interpreter as a client; it must succeed."""
        ended = subprocess.run(
            [sys.executable, *command], env=self.environment, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr


@contextmanager
def prefect_with_password(folder: Path) -> Iterator[PrefectWithPassword]:
    """The server while the body runs; it takes 12 s to start on two idle cores."""
    port = free_port()
    url = f"http://{HOST}:{port}/api"
    common = {**DEFAULTS, "PREFECT_HOME": str(folder / "home")}
    of_server = {**neutral_environment(), **common, "PREFECT_SERVER_API_AUTH_STRING": AUTH_STRING}
    of_client = {
        **common,
        "PREFECT_API_URL": url,
        "PREFECT_API_AUTH_STRING": AUTH_STRING,
        "PYTHONPATH": os.pathsep.join([str(PROJECT / "tests"), str(PROJECT)]),
    }
    server = start_server(port, environment=of_server)
    try:
        yield PrefectWithPassword(PrefectApi(url, AUTH_STRING), of_client)
    finally:
        stop_server(server)


def neutral_environment() -> dict[str, str]:
    """This process's, without what it says of Prefect and of the project."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "LZN_"))}
