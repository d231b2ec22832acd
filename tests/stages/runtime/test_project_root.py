"""State lives in the project's root, also when a stage runs in a temporary copy of the project."""

from pathlib import Path

import pytest

from stages.runtime.outputs import OutputPaths, feature_cache
from stages.runtime.project_root import in_project, project_root


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a project, and a temporary copy in it, as ``dvc exp run --temp`` does; the project is the current folder."""
    for folder in (tmp_path, tmp_path / ".dvc/tmp/exps/copy"):
        (folder / ".dvc").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    return tmp_path


def test_the_root_is_the_current_folder_if_it_has_dvc(project: Path) -> None:
    assert project_root() == Path()
    assert in_project("data/photos") == Path("data/photos")


def test_without_dvc_the_root_is_the_nearest_parent_with_a_project(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "notebooks/old").mkdir(parents=True)
    monkeypatch.chdir(project / "notebooks/old")
    assert project_root() == project


def test_in_a_temporary_copy_the_root_is_the_project_that_dvc_names(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project / ".dvc/tmp/exps/copy")
    monkeypatch.setenv("DVC_ROOT", str(project))
    outputs = OutputPaths("digits")
    assert outputs.checkpoints("rf", "0123") == project / ".checkpoints/digits/rf-0123"
    assert outputs.preparation("digits", "0123") == project / ".prepare/digits/digits-0123"
    assert feature_cache() == project / ".features"
    assert in_project("data/photos") == project / "data/photos"


def test_outputs_and_live_curves_of_a_temporary_copy_stay_in_it(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(project))
    assert not OutputPaths("digits").folder("train").is_absolute()
    assert not OutputPaths("digits").live_curve("rf", 0).is_absolute()


def test_absolute_paths_and_paths_of_the_home_folder_stay_where_they_are(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(project))
    monkeypatch.setenv("HOME", "/home/somebody")
    assert in_project("/usr/share/datasets") == Path("/usr/share/datasets")
    assert in_project("~/data") == Path("/home/somebody/data")
