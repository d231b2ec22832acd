"""A Prefect server for the flows of a file of tests: it takes seconds to start."""

import os
from collections.abc import Iterator, Mapping

import pytest
from lzn_testing import PROJECT

from pipelines.local.prefect_server import DEFAULTS, HOST, free_port, start_server, stop_server


@pytest.fixture(scope="module")
def bare_environment(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """An environment with PREFECT_HOME as its only setting of Prefect, and without our `dvc` and `python` on PATH."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    home = str(tmp_path_factory.mktemp("prefect"))
    return {**own, **DEFAULTS, "PREFECT_HOME": home, "PATH": "/usr/bin:/bin", "PYTHONPATH": str(PROJECT)}


@pytest.fixture(scope="module")
def environment(bare_environment: Mapping[str, str]) -> Iterator[Mapping[str, str]]:
    """The same with a Prefect server, which the tests of this file share: it takes seconds to start."""
    port = free_port()
    server = start_server(port, environment=bare_environment)
    yield {**bare_environment, "PREFECT_API_URL": f"http://{HOST}:{port}/api"}
    stop_server(server)
