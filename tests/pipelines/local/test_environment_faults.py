"""A dead Prefect server and a missing git repository are one sentence that says what to do."""

from pathlib import Path

import pytest

from pipelines.local import prefect_server
from pipelines.local.__main__ import main
from pipelines.local.prefect_server import PrefectServerError, free_port
from pipelines.sizes import lacks_git


def test_a_dead_prefect_server_is_one_sentence_without_its_password() -> None:
    url = f"http://user:secret@127.0.0.1:{free_port()}/api"
    with pytest.raises(PrefectServerError, match="does not answer") as raised:
        prefect_server._require_answer(url)
    message = str(raised.value)
    assert "\n" not in message
    assert "secret" not in message
    assert "prefect config unset PREFECT_API_URL" in message


@pytest.mark.parametrize("url", ["nonsense", "http://", "ftp://127.0.0.1:1/api"])
def test_a_wrong_address_is_one_sentence_too(url: str) -> None:
    with pytest.raises(PrefectServerError, match="does not answer"):
        prefect_server._require_answer(url)


def test_a_project_without_git_is_refused_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("[core]\n    analytics = false\n")
    assert main([]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: this folder has no git repository, which DVC needs: run git init")
    assert len(error.splitlines()) == 1


def test_git_may_be_above_or_switched_off(tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / ".dvc").mkdir(parents=True)
    assert lacks_git(project)
    (project / ".dvc/config.local").write_text("[core]\n    no_scm = True\n")
    assert not lacks_git(project)
    (project / ".dvc/config.local").unlink()
    (tmp_path / ".git").mkdir()
    assert not lacks_git(project)
    assert not lacks_git(tmp_path)  # no project of DVC
