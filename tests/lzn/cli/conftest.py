"""A project with trained runs, and test images as files."""

import shutil
from pathlib import Path

import pytest
from lzn_testing.projects.made_once import made_once
from lzn_testing.projects.stage_folder import StageFolder
from lzn_testing.projects.trained_project import TrainedProject

from lzn.base.files import write_json


@pytest.fixture(scope="package")
def project(tmp_path_factory: pytest.TempPathFactory) -> TrainedProject:
    """Both seeds of the joint run are trained by the real stage; the other runs have their initial weights."""
    folder = tmp_path_factory.mktemp("parent") / "project"
    shutil.copytree(made_once("trained_runs", train_runs) / "project", folder)
    return TrainedProject(folder)


def train_runs(parent: Path) -> None:
    folder = parent / "project"
    stages = StageFolder(folder, "")
    project = TrainedProject.make(folder)
    stages.run("train", "joint")
    for name in ("joint_no_gen", "rf", "rf_conditional", "representation"):
        project.write_untrained(name)
    numbers = {"fd_digits": {"mean": 2.5, "std": 0.25}, "recall": {"mean": 0.875}}
    write_json(folder / "outputs/tiny/metrics/measure/joint.json", numbers)
    write_json(folder / "outputs/tiny/metrics/classify/joint.json", {"accuracy": {"mean": 0.75}})


@pytest.fixture(scope="package")
def digits(project: TrainedProject, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three test images as files."""
    return project.write_test_images(tmp_path_factory.mktemp("digits"), count=3)
