"""A copied or moved project writes its artifacts into its own folder, and never into the original."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from lzn_testing.servers.mlflow_runs import artifact_text, new_database, only_run
from mlflow.exceptions import MlflowException

from stages.tracking import RunIdentity, Tracker
from stages.tracking.artifact_places import ROOT_VARIABLE, re_root, require_own_place

IDENTITY = RunIdentity("lzn", "rf", "0123abcd")


def log(project: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Log a file to the run as a stage in the folder ``project`` does."""
    monkeypatch.chdir(project)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{project}/mlflow.db")
    (project / "notes.txt").write_text(text)
    with Tracker.open(IDENTITY, outbox=project / ".mlflow-outbox", tags={}) as tracker:
        tracker.log_file(project / "notes.txt", "notes.txt")
        tracker.finish()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.fixture
def original(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    project = tmp_path / "original"
    project.mkdir()
    new_database(project)
    log(project, "of the original", monkeypatch)
    return project


def read_back(project: Path) -> str:
    uri = f"sqlite:///{project}/mlflow.db"
    return artifact_text(uri, only_run(uri, "lzn"), "notes.txt", project / "got")


def test_a_run_in_a_copy_leaves_the_original_as_it_is(
    original: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = original.with_name("copy")
    shutil.copytree(original, copy)
    before = contents(original)
    log(copy, "of the copy", monkeypatch)
    assert contents(original) == before
    assert f"artifacts are now in {copy}, not in {original}" in capsys.readouterr().err
    assert read_back(copy) == "of the copy"


def test_a_moved_project_writes_beside_its_database(original: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moved = original.rename(original.with_name("moved"))
    log(moved, "after the move", monkeypatch)
    assert not original.exists()
    assert read_back(moved) == "after the move"


def test_a_database_without_its_artifacts_is_not_written_through(
    original: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = original.with_name("copy")
    copy.mkdir()
    shutil.copyfile(original / "mlflow.db", copy / "mlflow.db")
    before = contents(original)
    log(copy, "of the copy", monkeypatch)
    assert contents(original) == before
    err = capsys.readouterr().err
    assert "copy the folder mlartifacts of the old project" in err
    assert not (copy / "mlartifacts").exists()
    shutil.copytree(original / "mlartifacts", copy / "mlartifacts")  # what the message says
    log(copy, "of the copy", monkeypatch)
    assert contents(original) == before
    assert read_back(copy) == "of the copy"


def test_a_link_to_the_project_is_no_copy(original: Path) -> None:
    link = original.with_name("link")
    link.symlink_to(original)
    before = (original / "mlflow.db").read_bytes()
    re_root(link / "mlflow.db")
    assert (original / "mlflow.db").read_bytes() == before


def test_no_path_of_the_old_place_is_left_in_the_database(original: Path) -> None:
    moved = original.rename(original.with_name("moved"))
    re_root(moved / "mlflow.db")
    with closing(sqlite3.connect(moved / "mlflow.db")) as connection:
        dump = "\n".join(connection.iterdump())
    assert f"{original}/mlartifacts" not in dump
    assert f"{moved}/mlartifacts" in dump


def test_other_stores_are_allowed_and_other_folders_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "project/mlartifacts"
    for location in ("s3://bucket/x", "mlflow-artifacts:/1/x", f"{root}/lzn/x", f"file://{root}/lzn/x"):
        require_own_place(location, artifact_root=root)
    elsewhere = f"file://{tmp_path}/other/mlartifacts/lzn"
    with pytest.raises(MlflowException, match=f"outside of {tmp_path}/project: copy the folder mlartifacts"):
        require_own_place(elsewhere, artifact_root=root)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MlflowException, match="outside of"):
        require_own_place("/elsewhere/mlruns/1", artifact_root=None)  # of a server
    monkeypatch.setenv(ROOT_VARIABLE, str(tmp_path / "other"))
    require_own_place(elsewhere, artifact_root=root)
