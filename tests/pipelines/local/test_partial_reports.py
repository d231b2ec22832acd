"""When a flow writes partial reports; the command is a small program that appends a line to a file."""

import sys
from pathlib import Path

import pytest

from pipelines.local.partial_reports import PartialReports
from pipelines.schedule import Outcome, StageResult

WRITE = (sys.executable, "-S", "-c", "open('reports', 'a').write('x')")
FAIL = (sys.executable, "-S", "-c", "import sys; sys.exit('params.yaml: no section tables')")


class Flow:
    """A flow with a clock that the test sets."""

    def __init__(self, command: tuple[str, ...] = WRITE) -> None:
        self.now = 0.0
        self.log: list[str] = []
        self.reports = PartialReports(
            self.log.append, command=command, every_seconds=600.0, clock=lambda: self.now
        )

    def finish(self, name: str, outcome: Outcome = Outcome.DONE, *, at: float = 0.0) -> None:
        self.now = at
        self.reports.after_stage(StageResult(name, outcome))


def number() -> int:
    return len(Path("reports").read_text()) if Path("reports").exists() else 0


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text("size: tiny\n")


def test_short_stages_share_a_report_and_the_last_one_is_at_the_end() -> None:
    flow = Flow()
    with flow.reports:
        flow.finish("measure@a", at=10)
        flow.finish("measure@b", at=20)
    assert number() == 1
    assert flow.log == []


def test_a_stage_after_ten_minutes_starts_a_report_and_the_end_adds_none_without_new_results() -> None:
    flow = Flow()
    with flow.reports:
        flow.finish("measure@a", at=599)
        flow.finish("measure@b", Outcome.UP_TO_DATE, at=700)
        flow.finish("measure@c", at=701)
    assert number() == 1


def test_the_stage_report_makes_the_last_report_superfluous() -> None:
    flow = Flow()
    with flow.reports:
        for stage in ("measure@a", "dvc.yaml:tables@tiny", "report@tiny"):
            flow.finish(stage)
    assert number() == 0


def test_a_flow_that_is_stopped_does_not_wait_for_a_report() -> None:
    flow = Flow()
    with flow.reports:
        flow.finish("measure@a")
        flow.finish("measure@b", Outcome.STOPPED)
    assert number() == 0


def test_a_report_that_fails_is_logged_with_its_reason() -> None:
    flow = Flow(FAIL)
    with flow.reports:
        flow.finish("measure@a")
    assert flow.log == ["The partial report was not written: params.yaml: no section tables"]


def test_without_params_yaml_there_is_no_report() -> None:
    Path("params.yaml").unlink()
    flow = Flow()
    with flow.reports:
        flow.finish("measure@a")
    assert number() == 0
