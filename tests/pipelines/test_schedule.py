"""The order of stages, the isolation of failures, and the summary; without processes."""

from pathlib import Path

import pytest

from pipelines.dag import StageNode
from pipelines.schedule import (
    Outcome,
    Schedule,
    StageResult,
    chain_lengths,
    direct_dependencies,
    failure_message,
    summary_table,
)


def node(name: str, *dependencies: str) -> StageNode:
    return StageNode(name, frozenset(dependencies), True, Path("dvc.lock"), name)


DIAMOND = [node("root"), node("left", "root"), node("right", "root"), node("join", "left", "right")]


def taken(schedule: Schedule) -> list[str]:
    names = []
    while (stage := schedule.next_stage()) is not None:
        names.append(stage.name)
    return names


def finish(schedule: Schedule, name: str, outcome: Outcome = Outcome.DONE, error: str = "") -> None:
    schedule.finish(StageResult(name=name, outcome=outcome, error=error))


def test_a_stage_is_ready_only_when_all_its_dependencies_are_done():
    schedule = Schedule(DIAMOND)

    assert taken(schedule) == ["root"]
    finish(schedule, "root")
    assert taken(schedule) == ["left", "right"]
    finish(schedule, "right")
    assert taken(schedule) == []
    finish(schedule, "left", Outcome.UP_TO_DATE)
    assert taken(schedule) == ["join"]


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.STOPPED])
def test_dependents_of_a_failed_or_stopped_stage_are_reported_as_not_run(outcome):
    schedule = Schedule([*DIAMOND, node("aside")])
    assert taken(schedule) == ["root", "aside"]
    finish(schedule, "root")
    taken(schedule)
    finish(schedule, "left", outcome)
    finish(schedule, "right")
    finish(schedule, "aside")

    assert taken(schedule) == []
    assert {result.name: result.outcome for result in schedule.results()} == {
        "root": Outcome.DONE,
        "left": outcome,
        "right": Outcome.DONE,
        "join": Outcome.NOT_RUN,
        "aside": Outcome.DONE,
    }


def test_the_longest_chain_starts_first():
    schedule = Schedule([node("short"), node("a"), node("b", "a"), node("c", "b")])

    assert taken(schedule) == ["a", "short"]


def test_the_chain_length_is_that_of_the_longest_branch():
    assert chain_lengths([*DIAMOND, node("last", "join"), node("aside", "root")]) == {
        "root": 4,
        "left": 3,
        "right": 3,
        "join": 2,
        "last": 1,
        "aside": 1,
    }


def test_the_failure_message_has_the_error_of_the_stage_and_the_stages_that_did_not_run():
    schedule = Schedule(DIAMOND)
    taken(schedule)
    finish(schedule, "root", Outcome.FAILED, "Stage 'root' failed: no space left on device")

    message = failure_message(schedule.results())

    assert message.splitlines() == [
        "Stage 'root' failed: no space left on device",
        "Not run, because a stage before them failed: left, right, join.",
    ]


def test_without_a_failed_stage_there_is_no_failure_message():
    assert failure_message([StageResult("root", Outcome.DONE), StageResult("left", Outcome.STOPPED)]) == ""


def test_the_summary_has_a_line_for_every_stage():
    table = summary_table(
        [StageResult("train@rf", Outcome.DONE, 1.25), StageResult("report", Outcome.NOT_RUN)]
    )

    assert table.splitlines() == ["train@rf  done in 1.2 s", "report    not run"]


def test_direct_dependencies_leave_out_what_follows_from_others():
    last = node("report", "join", "left", "root", "elsewhere")
    assert direct_dependencies([*DIAMOND, last]) == {
        "root": frozenset(),
        "left": {"root"},
        "right": {"root"},
        "join": {"left", "right"},
        "report": {"join", "elsewhere"},
    }
