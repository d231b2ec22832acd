"""A dead Prefect server and a missing git repository are one sentence that says what to do."""

from collections.abc import Callable
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from pipelines import sources
from pipelines.cluster import collector
from pipelines.local import prefect_server
from pipelines.local.__main__ import main
from pipelines.local.prefect_server import PrefectServerError
from pipelines.sizes import lacks_git


@pytest.mark.parametrize(
    "url", ["http://user:secret@127.0.0.1:1/api", "nonsense", "http://", "ftp://127.0.0.1:1/api"]
)
def test_a_prefect_server_that_does_not_answer_is_one_sentence_without_its_password(url: str) -> None:
    with (
        temporary_settings({PREFECT_API_URL: url}),
        pytest.raises(PrefectServerError, match="does not answer") as raised,
    ):
        prefect_server.configured_server()
    message = str(raised.value)
    assert "\n" not in message
    assert "secret" not in message


@pytest.mark.parametrize("main", [main, sources.main, collector.main], ids=["flow", "sources", "collector"])
def test_a_project_without_git_is_refused_with_what_to_do(
    main: Callable[..., int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("[core]\n    analytics = false\n")
    monkeypatch.setattr("sys.argv", ["program"])
    assert main() == 1
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
