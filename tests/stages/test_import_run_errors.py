"""Errors of the stage import_run: each message names the parameter, and no weights are written."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from lzn_testing import PROJECT
from lzn_testing.projects.import_project import (
    RELEASES,
    REPRESENTATION,
    ImportProject,
    checkpoint_of,
    import_project,
    import_section,
    section_of,
    unet_run,
)
from lzn_testing.servers.file_server import serving

from lzn.base.files import file_sha256
from lzn.base.sections import ParamsError, validate
from lzn.runs.trained import WEIGHTS
from stages.import_run import ImportParams


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImportProject]:
    with import_project(tmp_path_factory.mktemp("import")) as project:
        yield project


def error_of(project: ImportProject, section: Mapping[str, Any]) -> str:
    with pytest.raises(ParamsError) as caught:
        project.import_as("wrong", section)
    assert not (project.output("train", "wrong") / WEIGHTS).exists()
    return str(caught.value)


def test_the_error_of_a_file_with_another_hash_names_both_hashes(project: ImportProject) -> None:
    message = error_of(project, section_of("cifar10", sha256="0" * 64))
    assert message == (
        f"params.yaml: imports.wrong: {checkpoint_of('cifar10')} has sha256 "
        f"{file_sha256(checkpoint_of('cifar10'))}, not {'0' * 64}: replace the file, or correct sha256"
    )


def test_the_error_of_a_downloaded_file_with_another_hash_names_both_hashes(project: ImportProject) -> None:
    with serving(b"other") as server:
        message = error_of(project, section_of("cifar10", path=None, url=server.url, sha256="1" * 64))
    assert f"{server.url} has sha256 {hashlib.sha256(b'other').hexdigest()}, not {'1' * 64}" in message


def test_the_error_of_a_missing_file_names_it(project: ImportProject) -> None:
    message = error_of(project, section_of("cifar10", path="nowhere.pt"))
    assert message.startswith("params.yaml: imports.wrong: there is no file nowhere.pt: put the released")


@pytest.mark.parametrize("location", [{"path": None}, {"url": "https://example.org/file.pt"}])
def test_path_and_url_cannot_both_be_set_or_both_be_missing(
    project: ImportProject, location: dict[str, Any]
) -> None:
    message = error_of(project, section_of("cifar10", **location))
    assert message == "params.yaml: imports.wrong: set either path or url of the checkpoint"


@pytest.mark.parametrize(
    ("key", "value"),
    [("sha256", "abc"), ("sha256", "G" * 64), ("url", "ftp://host/file.pt"), ("source", "trained")],
)
def test_the_error_of_a_wrong_value_names_its_key(key: str, value: str) -> None:
    section = {"source": "released", "path": "file.pt", "sha256": "0" * 64, "run": REPRESENTATION, key: value}
    with pytest.raises(ParamsError, match=f"^params.yaml: imports.wrong.{key}: "):
        validate(section, ImportParams, where="params.yaml: imports.wrong")


def test_a_checkpoint_of_another_study_is_an_error(project: ImportProject) -> None:
    message = error_of(project, import_section(checkpoint_of("joint"), unet_run(RELEASES["cifar10"])))
    assert "released_joint_tiny.pt does not match the settings: decoder: wrong shape" in message
    assert "label_anchor: is in the checkpoint, but not in a run of these settings" in message


def test_networks_for_images_of_another_shape_are_an_error(project: ImportProject) -> None:
    message = error_of(project, section_of("hires"))
    assert message.endswith("the run's networks do not fit the images of photos, which are (3, 16, 16)")


def test_the_command_prints_the_error_and_fails(project: ImportProject) -> None:
    project.params["imports"] = {"wrong": section_of("joint", sha256="0" * 64)}
    project.write_params()
    failed = subprocess.run(
        [sys.executable, "-m", "stages.import_run", "wrong"],
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert failed.returncode == 1
    assert failed.stderr.startswith("import_run: params.yaml: imports.wrong: ")
