"""A new MLflow database, to which the client is set, and a folder of outboxes."""

from pathlib import Path

import pytest
from lzn_testing.servers.mlflow_runs import new_database


@pytest.fixture
def uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The database's address, also in MLFLOW_TRACKING_URI."""
    uri = new_database(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    return uri


@pytest.fixture
def outbox(tmp_path: Path) -> Path:
    """The folder, which does not exist yet."""
    return tmp_path / "outbox"
