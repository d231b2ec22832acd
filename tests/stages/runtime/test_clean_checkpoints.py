"""``make clean-checkpoints`` lists all checkpoints, asks, and deletes what the answer names."""

import io
from pathlib import Path

import pytest
from filelock import FileLock

from lzn.training import CheckpointFolder
from stages.runtime import clean_checkpoints


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Two trainings and the unfinished samples of a run."""
    monkeypatch.chdir(tmp_path)
    for name, step in (("digits/rf-01", 50), ("digits/rf_lzn-02", 250)):
        CheckpointFolder(Path(".checkpoints") / name).save(step, {})
    (tmp_path / ".checkpoints/fashion/sample-rf-0-03").mkdir(parents=True)
    (tmp_path / ".checkpoints/fashion/sample-rf-0-03/images.npy").write_bytes(bytes(2_000_000))
    return sorted(Path(".checkpoints").glob("*/*"))


def answer(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    clean_checkpoints.main()


def test_each_folder_is_listed_with_its_step_and_size_and_the_chosen_ones_are_deleted(
    folders: list[Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer("1 3\n", monkeypatch)
    printed = capsys.readouterr().out
    assert "1  .checkpoints/digits/rf-01  step 50 " in printed
    assert "2  .checkpoints/digits/rf_lzn-02  step 250 " in printed
    assert "3  .checkpoints/fashion/sample-rf-0-03  unfinished  2.0 MB" in printed
    assert [folder.exists() for folder in folders] == [False, True, False]


@pytest.mark.parametrize("text", ["", "\n"])
def test_without_an_answer_nothing_is_deleted(
    folders: list[Path], monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    answer(text, monkeypatch)
    assert all(folder.exists() for folder in folders)


@pytest.mark.parametrize("text", ["4", "0", "y", "1 -2"])
def test_an_answer_with_a_wrong_number_deletes_nothing(
    folders: list[Path], monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    with pytest.raises(SystemExit, match="Nothing was deleted"):
        answer(text, monkeypatch)
    assert all(folder.exists() for folder in folders)


def test_the_folder_of_a_training_that_runs_is_kept(
    folders: list[Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with FileLock(".checkpoints/digits/rf-01.lock"):
        answer("all", monkeypatch)
    assert [folder.exists() for folder in folders] == [True, False, False]
    assert "in use, kept: .checkpoints/digits/rf-01" in capsys.readouterr().out
