"""On real servers, flows are cancelled or started twice, and processes die: outputs are the same, nothing is lost.

Each fault happens during a training that has written a checkpoint. Afterwards the outputs have the hashes of a plain
`dvc repro`, MLflow has every point of every curve once, each stage ran once, and no process is left. The tests write
tables of faults into `.faults/`; infra/README.md has a copy. The first test needs the new stack: it runs `prepare`.
"""

import time

import pytest
from lzn_testing.projects.drill_project import STAGES, TARGET, runs_of
from lzn_testing.servers.fault_drill import Drill, kill

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


def test_a_killed_training_resumes_at_the_next_start(drill: Drill) -> None:
    drill.inject(
        "kill -9 of the training",
        "its stage and the flow fail with DVC's message; the next start resumes from the checkpoint",
        lambda: kill(drill.training()),
    )
    drill.check_resumed()


def test_a_stage_is_relaunched_when_its_flow_process_is_killed(drill: Drill) -> None:
    drill.inject(
        "kill -9 of the process that runs the stage's flow",
        "its guard lets the training save a checkpoint; the worker reports a crash; the flow relaunches the stage",
        lambda: kill(drill.flow_process(drill.child_run(TARGET))),
    )


def test_a_stage_fails_after_its_last_relaunch_crashes(drill: Drill) -> None:
    drill.reset()
    run = drill.api.start("reproduce", size="digits", targets=[TARGET], max_relaunches=1)
    killed: dict[str, float] = {}

    def kill_new_runs() -> bool:
        for child in drill.running(TARGET) - killed.keys():
            kill(drill.flow_process(child))
            killed[child] = time.monotonic()
        return drill.has_ended(run)

    drill.wait_until(kill_new_runs, 180, "the flow's end")
    assert drill.failure_of(run).startswith(f"Stage '{TARGET}': Crashed")
    assert len(killed) == 2
    again = drill.finish(run)
    drill.check()
    drill.record(
        "the same, and kill -9 of its only relaunch",
        "the flow fails and names the stage; the next start runs it",
        again,
        time.monotonic() - min(killed.values()),
    )


def test_a_restarted_flow_joins_the_stages_of_a_killed_one(drill: Drill) -> None:
    drill.reset()
    run = drill.start_until_training()
    begin = time.monotonic()
    kill(drill.flow_process(run))
    again = drill.finish(run)
    drill.check()
    drill.record(
        "kill -9 of the flow `reproduce`",
        "its stages continue; the next start joins the running ones",
        again,
        time.monotonic() - begin,
    )


def test_a_stage_is_relaunched_when_the_workers_are_killed(drill: Drill) -> None:
    def kill_workers() -> None:
        for number in (1, 2):
            drill.stack.kill(f"worker-cpu-{number}")

    drill.inject(
        "kill -9 of the workers",
        "the supervisor lets the stage save a checkpoint, and restarts the workers; the flow relaunches the stage",
        kill_workers,
    )


def test_a_stage_is_relaunched_when_its_machine_is_lost(drill: Drill) -> None:
    """No process can report the crash, so the automation for missing heartbeats does."""

    def lose_machine() -> None:
        for number in (1, 2):
            drill.stack.kill(f"worker-cpu-{number}", children=True)
        for process in drill.orphans():
            kill(process)

    drill.inject(
        "a machine is lost: worker, flow and training at once",
        "after 90 s without a heartbeat Prefect marks the run as crashed; the flow relaunches the stage",
        lose_machine,
    )
