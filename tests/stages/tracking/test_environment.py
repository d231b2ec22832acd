"""The default database is the project's, and runs of a DVC experiment have its name and baseline."""

from pathlib import Path

import pytest

from stages.tracking.environment import experiment_tags, tracking_uri


@pytest.fixture(autouse=True)
def _without_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("MLFLOW_TRACKING_URI", "DVC_ROOT", "DVC_EXP_NAME", "DVC_EXP_BASELINE_REV"):
        monkeypatch.delenv(name, raising=False)


def test_the_default_database_is_in_the_projects_root(monkeypatch: pytest.MonkeyPatch) -> None:
    assert tracking_uri() == "sqlite:///mlflow.db"
    monkeypatch.setenv("DVC_ROOT", "/projects/lzn")
    assert tracking_uri() == "sqlite:////projects/lzn/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    assert tracking_uri() == "http://127.0.0.1:5000"


def test_an_experiment_is_named_in_two_tags(monkeypatch: pytest.MonkeyPatch) -> None:
    assert experiment_tags() == {}
    monkeypatch.setenv("DVC_EXP_NAME", "more-steps")
    monkeypatch.setenv("DVC_EXP_BASELINE_REV", "0123abc")
    assert experiment_tags() == {"dvc_exp_name": "more-steps", "dvc_exp_baseline_rev": "0123abc"}
