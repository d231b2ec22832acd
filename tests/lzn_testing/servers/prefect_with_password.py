"""A real Prefect server with a password, in a temporary folder."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lzn_testing import PROJECT
from lzn_testing.projects.made_once import made_once
from lzn_testing.servers.prefect_api import PrefectApi
from pipelines.local.prefect_server import DEFAULTS, HOST, free_port, start_server, stop_server

AUTH_STRING = "lzn:a password of this test"


@dataclass(frozen=True)
class PrefectWithPassword:
    """The server's API, and the variables of its clients (which also find this project and its tests)."""

    api: PrefectApi
    client: Mapping[str, str]

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a client, without this machine's own settings for Prefect."""
        return {**neutral_environment(), **self.client}


@contextmanager
def prefect_with_password(folder: Path) -> Iterator[PrefectWithPassword]:
    """Run the server; it takes 6 s to start on two idle cores."""
    port = free_port()
    url = f"http://{HOST}:{port}/api"
    common = {**DEFAULTS, "PREFECT_HOME": str(prefect_home(folder))}
    server_environment = {**neutral_environment(), **common, "PREFECT_SERVER_API_AUTH_STRING": AUTH_STRING}
    client = {
        **common,
        "PREFECT_API_URL": url,
        "PREFECT_API_AUTH_STRING": AUTH_STRING,
        "PYTHONPATH": os.pathsep.join([str(PROJECT / "tests"), str(PROJECT)]),
    }
    server = start_server(port, environment=server_environment)
    try:
        yield PrefectWithPassword(PrefectApi(url, AUTH_STRING), client)
    finally:
        stop_server(server)


def neutral_environment() -> dict[str, str]:
    """Return this process's environment without the variables of Prefect and of the project."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "LZN_"))}


def prefect_home(folder: Path) -> Path:
    """Make a PREFECT_HOME in `folder` with the tables of a server, which take half of the time of its first start."""
    home = folder / "home"
    shutil.copytree(made_once("prefect", _make_database), home)
    return home


def _make_database(home: Path) -> None:
    command = [sys.executable, "-m", "prefect", "server", "database", "upgrade", "--yes"]
    environment = {**neutral_environment(), **DEFAULTS, "PREFECT_HOME": str(home)}
    subprocess.run(command, env=environment, check=True, capture_output=True)
