"""The folder that the tests of reporting run in."""

from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the current one, because outputs have relative paths."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
