"""A process dies during a `reproduce` on real servers: the outputs are the same, and nothing is lost or duplicated.

Each fault happens during a training that has written a checkpoint. Afterwards the outputs have the hashes of a plain
`dvc repro`, MLflow has every point of every curve once, and no process is left. The tests write tables of faults into
`.faults/`; infra/README.md has a copy.
"""

import time

import pytest
from lzn_testing.projects.drill_project import TARGET
from lzn_testing.servers.fault_drill import Drill, kill

pytestmark = pytest.mark.services


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
