"""Data sets whose files have changed are prepared again."""

import json
from pathlib import Path

import pytest
import torch

from benchmarks.small_project import copy_project, run_in
from lzn.base.sections import ParamsFile
from pipelines.sources import changed_sources
from rehearsal.file_formats import write_images
from stages.prepare import prepare
from stages.runtime.outputs import OutputPaths
from stages.runtime.stage_main import StageCall

PHOTOS = {"kind": "folder", "root": "photos", "image_size": 8, "test_fraction": 0.25, "seed": 0}
NAMES = [f"{name}/{number}.jpg" for name in ("tea", "coffee") for number in range(4)]


def prepare_photos() -> None:
    params = ParamsFile.read(Path("params.yaml"))
    prepare(StageCall(params, "photos", OutputPaths("test"), torch.device("cpu")))


def changes() -> dict[str, str]:
    return {name: source.how for name, source in changed_sources().items()}


def test_deleted_and_added_images_are_noticed_until_the_next_preparation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    digits = {"kind": "digits", "test_fraction": 0.2, "seed": 0}
    content = {"size": "test", "data": {"photos": PHOTOS, "digits": digits}}
    Path("params.yaml").write_text(json.dumps(content))
    write_images(Path("photos"), NAMES)
    assert changed_sources() == {}  # never prepared: DVC runs the stage
    prepare_photos()
    assert changed_sources() == {}
    Path("photos/tea/3.jpg").unlink()
    assert changes() == {"photos": "7 files, 8 before"}
    prepare_photos()
    assert changed_sources() == {}
    write_images(Path("photos"), ["tea/9.jpg"])
    assert changes() == {"photos": "8 files, 7 before"}


def test_a_data_set_that_was_prepared_elsewhere_is_compared_from_now_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(json.dumps({"size": "test", "data": {"photos": PHOTOS}}))
    write_images(Path("photos"), NAMES)
    prepare_photos()
    OutputPaths("test").source_files("photos").unlink()
    assert changed_sources() == {}
    Path("photos/tea/3.jpg").unlink()
    assert list(changed_sources()) == ["photos"]


@pytest.mark.slow
def test_the_program_prepares_a_changed_data_set_with_dvc(tmp_path: Path) -> None:
    project = copy_project(tmp_path)
    write_images(project / "photos", NAMES)
    content = {"size": "own", "hardware": {"num_threads": 1}, "data": {"photos": PHOTOS}}
    stages = project / "dvc.yaml"
    stages.write_text(stages.read_text().split("\n  features:")[0] + "\n")
    (project / "params.yaml").write_text(json.dumps(content))

    def num_train() -> int:
        description = json.loads((project / "outputs/own/prepare/photos/dataset.json").read_text())
        return int(description["num_train"])

    assert run_in(project, ["python", "-m", "dvc", "repro", "prepare@photos"]).returncode == 0
    assert num_train() == 6
    write_images(project / "photos", ["tea/8.jpg", "tea/9.jpg", "coffee/8.jpg", "coffee/9.jpg"])
    result = run_in(project, ["python", "-m", "pipelines.sources"])
    assert result.returncode == 0, result.stderr
    assert "The files of photos have changed (12 files, 8 before)" in result.stdout
    assert num_train() == 9
    assert run_in(project, ["python", "-m", "pipelines.sources"]).stdout == ""
