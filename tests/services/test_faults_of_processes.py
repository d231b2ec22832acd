"""A process dies in the middle of a `reproduce` on real servers: the same outputs come out, nothing is lost or doubled.

Each fault strikes while a training runs that has saved itself at least once. Afterwards the outputs have the hashes of
a plain `dvc repro`, MLflow has every point of every curve once, and no process is left. The table of faults that the
tests write into `.faults/` is the first of infra/README.md.
"""

import time
from collections.abc import Iterator

import pytest
from lzn_testing.projects.drill_project import STAGES, TARGET, runs_of
from lzn_testing.servers.fault_drill import Drill, kill, started_drill

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def drill(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drill]:
    with started_drill(tmp_path_factory.mktemp("drill")) as drill:
        yield drill
        drill.write_table("processes")


def test_undisturbed_it_makes_what_dvc_repro_makes_and_started_again_it_runs_nothing(drill: Drill) -> None:
    begin = time.monotonic()
    flow = drill.start()
    assert drill.finish(flow) == 0
    seconds = time.monotonic() - begin
    drill.check()
    shown = drill.api.all_of("task_runs", flow_runs={"id": {"any_": [flow]}})  # on the flow's page
    assert {task["name"]: task["state"]["type"] for task in shown} == dict.fromkeys(STAGES, "COMPLETED")
    begin = time.monotonic()
    run = drill.api.start("train-one", run="rf")
    assert drill.finish(run) == 0
    assert drill.api.state_of(run)["message"] == f"0 stages run, {len(STAGES)} were there"
    drill.check()
    pages = drill.api.all_of("artifacts", artifacts={"key": {"any_": ["runs-digits"]}})
    [tracked] = runs_of(drill.mlflow)
    assert len(pages) == 2  # one a flow
    for page in pages:
        assert f"[rf]({drill.environment['MLFLOW_TRACKING_URI']}/#/experiments/" in page["data"]
        assert f"/runs/{tracked.info.run_id})" in page["data"]
    drill.record("none", "the whole flow, `prepare` included", 0, seconds)
    drill.record("none", "the same again, as `train-one`: nothing to run", 0, time.monotonic() - begin)


def test_kill_9_of_the_training(drill: Drill) -> None:
    drill.survive(
        "kill -9 of the training",
        "its stage and the flow fail with DVC's words; the next start resumes from the checkpoint",
        lambda: kill(drill.training()),
    )
    drill.check_resumed()


def test_kill_9_of_a_stage_s_flow_process(drill: Drill) -> None:
    drill.survive(
        "kill -9 of the process that runs the stage's flow",
        "its guard ends the training, which saves itself; the worker reports a crash; the flow relaunches the stage",
        lambda: kill(drill.flow_process(drill.child_run(TARGET))),
    )


def test_a_stage_that_crashes_again_and_again_is_given_up(drill: Drill) -> None:
    drill.reset()
    run = drill.api.start("reproduce", size="digits", targets=[TARGET], max_relaunches=1)
    killed: dict[str, float] = {}

    def kill_what_starts() -> bool:
        for child in drill.running(TARGET) - killed.keys():
            kill(drill.flow_process(child))
            killed[child] = time.monotonic()
        return drill.has_ended(run)

    drill.wait_until(kill_what_starts, 180, "the flow's end")
    assert drill.failure_of(run).startswith(f"Stage '{TARGET}': Crashed")
    assert len(killed) == 2
    again = drill.finish(run)
    drill.check()
    drill.record(
        "kill -9 of the process of the stage's flow, and of its only relaunch's",
        "the flow fails and names the stage; the next start runs it",
        again,
        time.monotonic() - min(killed.values()),
    )


def test_kill_9_of_the_flow_itself(drill: Drill) -> None:
    drill.reset()
    run = drill.start_until_training()
    begin = time.monotonic()
    kill(drill.flow_process(run))
    again = drill.finish(run)
    drill.check()
    drill.record(
        "kill -9 of the flow `reproduce`",
        "its stages go on; the next start joins those that run",
        again,
        time.monotonic() - begin,
    )


def test_cancelling_the_flow(drill: Drill) -> None:
    drill.reset()
    run = drill.start_until_training()
    child = drill.child_run(TARGET)
    begin = time.monotonic()
    drill.api.cancel(run)
    drill.wait_until_cancelled(run)
    drill.wait_until_cancelled(child)
    drill.wait_until(lambda: not drill.orphans(), 60, "no process is left of stages")
    again = drill.finish(run)
    drill.check()
    drill.check_resumed()
    drill.record(
        "the flow `reproduce` is cancelled",
        "so are its stages, which save themselves; the next start resumes from the checkpoint",
        again,
        time.monotonic() - begin,
    )


def test_cancelling_a_stage(drill: Drill) -> None:
    """It is not taken for a crash, after which the stage would be started again."""
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
        "it saves itself and is not relaunched; the flow fails and names it; the next start resumes",
        again,
        time.monotonic() - begin,
    )


def test_kill_9_of_both_workers(drill: Drill) -> None:
    def kill_workers() -> None:
        for number in (1, 2):
            drill.stack.kill(f"worker-cpu-{number}")

    drill.survive(
        "kill -9 of the workers",
        "the supervisor lets the running stage save itself, and restarts the workers; the flow relaunches the stage",
        kill_workers,
    )


def test_a_machine_that_is_gone(drill: Drill) -> None:
    """Nobody is left to report: the automation for zombie runs finds out by the missing heartbeats."""

    def lose_machine() -> None:
        for number in (1, 2):
            drill.stack.kill(f"worker-cpu-{number}", children=True)
        for process in drill.orphans():
            kill(process)

    drill.survive(
        "a machine is lost: worker, flow and training at once",
        "after 90 s without a heartbeat Prefect calls the run crashed; the flow relaunches the stage",
        lose_machine,
    )


def test_two_collectors_at_once(drill: Drill) -> None:
    drill.reset()
    begin = time.monotonic()
    runs = [drill.start(), drill.start()]
    again = sum(drill.finish(run) for run in runs)
    drill.check()
    drill.record(
        "two flows at once",
        "both wait for the same runs of stages; each is run once",
        again,
        time.monotonic() - begin,
    )


def test_a_stage_that_two_workers_start(drill: Drill) -> None:
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
        "one waits for the other, and takes its outputs; so does the flow",
        again,
        time.monotonic() - begin,
    )
