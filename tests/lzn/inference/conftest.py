"""Opened runs of every kind, and test images."""

import pytest
from lzn_testing.projects.trained_project import RUNS, TrainedProject

from lzn.data.prepared import read_split
from lzn.inference.images import Images
from lzn.inference.loaded_run import LoadedRun


@pytest.fixture(scope="package")
def project(tmp_path_factory: pytest.TempPathFactory) -> TrainedProject:
    return TrainedProject.make(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="package")
def opened(project: TrainedProject) -> dict[str, LoadedRun]:
    """All runs, with their initial weights, by name."""
    for name in RUNS:
        project.write_untrained(name)
    return {name: project.open(name) for name in RUNS}


@pytest.fixture(scope="package")
def images(project: TrainedProject) -> Images:
    return read_split(project.prepared_folder("digits"), "test").images[:5]
