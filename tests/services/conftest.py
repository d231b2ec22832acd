"""The servers of each file: the stack that tests of faults break, and a Slurm cluster."""

from collections.abc import Iterator

import pytest
from lzn_testing.servers.fault_drill import Drill, started_drill
from lzn_testing.servers.one_node_slurm import OneNodeSlurm


@pytest.fixture(scope="module")
def drill(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drill]:
    """Start servers and two workers; at the end write the file's table of faults."""
    with started_drill(tmp_path_factory.mktemp("drill")) as drill:
        yield drill
        drill.write_table(request.path.stem.removeprefix("test_faults_of_"))


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneNodeSlurm]:
    missing = OneNodeSlurm.missing_programs()
    assert not missing, f"missing programs {missing}: apt-get install slurm-wlm munge"
    cluster = OneNodeSlurm(tmp_path_factory.mktemp("slurm"))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
