"""Flows on real servers are cancelled or started twice: the outputs are the same, and each stage runs once.

The checks are those of test_faults_of_processes.py.
"""

import time

import pytest
from lzn_testing.projects.drill_project import STAGES, TARGET, runs_of
from lzn_testing.servers.fault_drill import Drill

pytestmark = pytest.mark.services


def test_without_faults_outputs_are_those_of_dvc_repro_and_a_second_run_runs_nothing(drill: Drill) -> None:
    begin = time.monotonic()
    flow = drill.start()
    assert drill.finish(flow) == 0
    seconds = time.monotonic() - begin
    drill.check()
    assert drill.api.edges_of(flow) == {STAGES[0]: set(), TARGET: {STAGES[0]}}
    assert {node["state_type"] for node in drill.api.graph_of(flow).values()} == {"COMPLETED"}
    begin = time.monotonic()
    run = drill.api.start("train-one", run="rf")
    assert drill.finish(run) == 0
    assert drill.api.state_of(run)["message"] == f"0 stages run, {len(STAGES)} up to date"
    drill.check()
    dry = drill.api.start("train-one", run="rf", dry_run=True)
    assert drill.finish(dry) == 0
    assert drill.api.state_of(dry)["message"] == f"dry run: 0 stages to run, {len(STAGES)} already there"
    pages = drill.api.all_of("artifacts", artifacts={"key": {"any_": ["runs-digits"]}})
    [tracked] = runs_of(drill.mlflow)
    assert len(pages) == 2  # one for each flow
    for page in pages:
        assert f"[rf]({drill.environment['MLFLOW_TRACKING_URI']}/#/experiments/" in page["data"]
        assert f"/runs/{tracked.info.run_id}?" in page["data"]
    experiment = f"{drill.environment['MLFLOW_TRACKING_URI']}/#/experiments/{tracked.info.experiment_id}"
    assert drill.api.artifact("mlflow-digits")["data"] == f"[Runs of digits in MLflow]({experiment})"
    shown = drill.api.artifact("progress-train-rf")
    assert (shown["data"], shown["flow_run_id"]) == (100.0, drill.child_run(TARGET))
    drill.record("none", "the whole flow, `prepare` included", 0, seconds)
    drill.record("none", "again, as `train-one`: nothing to run", 0, time.monotonic() - begin)


def test_cancelling_the_flow_cancels_its_stages(drill: Drill) -> None:
    drill.reset()
    run = drill.start_until_training()
    child = drill.child_run(TARGET)
    begin = time.monotonic()
    drill.api.cancel(run)
    drill.wait_until_cancelled(run)
    drill.wait_until_cancelled(child)
    drill.wait_until(lambda: not drill.orphans(), 60, "the end of all stages' processes")
    again = drill.finish(run)
    drill.check()
    drill.check_resumed()
    drill.record(
        "the flow `reproduce` is cancelled",
        "its stages are cancelled and save a checkpoint; the next start resumes from it",
        again,
        time.monotonic() - begin,
    )


def test_a_cancelled_stage_is_not_relaunched(drill: Drill) -> None:
    drill.reset()
    run = drill.start_until_training()
    child = drill.child_run(TARGET)
    begin = time.monotonic()
    drill.api.cancel(child)
    assert TARGET in drill.failure_of(run)
    drill.wait_until_cancelled(child)
    assert drill.child_run(TARGET) == child
    again = drill.finish(run)
    drill.check()
    drill.check_resumed()
    drill.record(
        "a stage's run is cancelled",
        "it saves a checkpoint and is not relaunched; the flow fails and names it; the next start resumes",
        again,
        time.monotonic() - begin,
    )


def test_two_flows_run_each_stage_once(drill: Drill) -> None:
    drill.reset()
    begin = time.monotonic()
    runs = [drill.start(), drill.start()]
    again = sum(drill.finish(run) for run in runs)
    drill.check()
    drill.record(
        "two flows at once",
        "both wait for the same runs of stages; each stage is run once",
        again,
        time.monotonic() - begin,
    )


def test_two_workers_with_the_same_stage_run_it_once(drill: Drill) -> None:
    drill.reset()
    begin = time.monotonic()
    runs = [drill.api.start("cpu", stage=TARGET, commit=drill.commit) for _ in range(2)]
    for run in runs:
        drill.wait_until(lambda run=run: drill.has_ended(run), 300, "the stage's end")
    messages = [drill.api.state_of(run)["message"] for run in runs]
    assert sorted(messages) == ["done", "up to date"]
    again = drill.finish(drill.start())
    drill.check()
    drill.record(
        "the same stage started by two workers",
        "one waits for the other and uses its outputs; so does the flow",
        again,
        time.monotonic() - begin,
    )
