"""One real DVC stage."""

import sys
from pathlib import Path

import pytest

from pipelines.dag import StageNode, read_dag
from pipelines.processes.commands import TAIL_LINES, Limits
from pipelines.processes.signals import StopEvents
from pipelines.processes.stage_runner import StageRunner, stage_environment
from pipelines.schedule import Outcome


@pytest.fixture
def runner() -> StageRunner:
    return StageRunner(limits=Limits(timeout=60.0, grace=5.0), stop=StopEvents())


def stages_of(root: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, StageNode]:
    monkeypatch.chdir(root)
    return {stage.name: stage for stage in read_dag()}


def test_python_in_a_stage_is_this_interpreter_even_if_path_has_no_python(
    toy_repository, runner, monkeypatch
):
    command = "python -c 'import sys; print(sys.executable, sys.prefix)' > python.txt"
    root = toy_repository(which=(command, [], ["python.txt"]))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")

    result = runner.run(stages_of(root, monkeypatch)["which"], log=lambda line: None)

    assert result.outcome is Outcome.DONE
    executable, prefix = (root / "python.txt").read_text().split()
    assert (Path(executable).parent, prefix) == (Path(sys.executable).parent, sys.prefix)


def test_a_failed_stage_is_reported_with_its_output(toy_repository, runner, monkeypatch):
    root = toy_repository(train=("echo step 7; echo 'the loss is not finite' >&2; exit 3", [], ["weights"]))
    lines: list[str] = []

    result = runner.run(stages_of(root, monkeypatch)["train"], log=lines.append)

    assert result.outcome is Outcome.FAILED
    assert result.error.startswith("Stage 'train' failed with exit code ")
    assert "    step 7\n    the loss is not finite" in result.error
    assert len(result.error.splitlines()) <= TAIL_LINES + 1
    assert {"step 7", "the loss is not finite"} <= set(lines)


def test_a_stage_over_its_timeout_fails_and_dvc_releases_its_locks(toy_repository, monkeypatch):
    root = toy_repository(slow=("sleep 600 && echo > slow.txt", [], ["slow.txt"]))
    stage = stages_of(root, monkeypatch)["slow"]
    runner = StageRunner(limits=Limits(timeout=2.5, grace=60.0), stop=StopEvents())

    result = runner.run(stage, log=lambda line: None)

    assert result.outcome is Outcome.FAILED
    assert "was stopped after its timeout of 2.5 s" in result.error
    assert "slow" not in (root / ".dvc" / "tmp" / "rwlock").read_text()


def test_only_the_named_stage_runs(toy_repository, runner, monkeypatch):
    root = toy_repository(
        first=("echo 1 > first.txt", [], ["first.txt"]),
        second=("cat first.txt > second.txt", ["first.txt"], ["second.txt"]),
    )

    result = runner.run(stages_of(root, monkeypatch)["second"], log=lambda line: None)

    assert result.outcome is Outcome.FAILED  # it does not run its dependency
    assert "first.txt" in result.error
    assert not (root / "first.txt").exists()


def test_a_stage_that_needs_no_check_starts_no_process(runner):
    stage = StageNode("train@rf", frozenset(), False, None, "")
    lines: list[str] = []

    result = runner.run(stage, log=lines.append)

    assert (result.outcome, result.seconds, lines) == (Outcome.UP_TO_DATE, 0.0, ["up to date"])


def test_a_stage_gets_the_environment_and_only_the_variables_that_running_needs():
    given = {"PATH": "/usr/bin", "MLFLOW_TRACKING_URI": "sqlite:///x.db", "PYTHONUNBUFFERED": ""}

    environment = stage_environment(given)

    assert environment["MLFLOW_TRACKING_URI"] == "sqlite:///x.db"
    assert environment["PYTHONUNBUFFERED"] == ""
    assert environment["PATH"].endswith(":/usr/bin")
    shows_bars = {"LZN_PROGRESS_BARS", "TQDM_MININTERVAL"}
    assert set(environment) - set(given) == {"DVC_NO_ANALYTICS", "DVC_DAEMON"} | shows_bars
