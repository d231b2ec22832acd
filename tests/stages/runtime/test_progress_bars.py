"""Bars of all stages are shown to a flow, which reads them, and not written to a log file."""

import ast
from pathlib import Path

import pytest
from lzn_testing import PROJECT

from pipelines.processes.progress_lines import read_progress
from stages.runtime.progress_bars import PROGRESS_VARIABLE, progress_bar


def test_a_flow_reads_the_bar_and_a_log_file_gets_none(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def advance(shown: bool = True) -> str:
        with progress_bar(
            "download", total=4_000_000, unit="B", scaled=True, initial=1_000_000, shown=shown
        ) as bar:
            bar.update(1_000_000)
        return capfd.readouterr().err

    monkeypatch.delenv(PROGRESS_VARIABLE, raising=False)
    assert advance() == ""
    monkeypatch.setenv(PROGRESS_VARIABLE, "1")
    assert advance(shown=False) == ""
    progress = read_progress(advance().strip().split("\r")[-1])
    assert progress is not None
    assert progress.percent == 50
    assert progress.text.startswith("download: 2.00M/4.00M")


def test_no_stage_makes_a_bar_of_its_own() -> None:
    makers = {
        path.relative_to(PROJECT)
        for path in (PROJECT / "stages").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "tqdm"
    }
    assert makers == {Path("stages/runtime/progress_bars.py")}
