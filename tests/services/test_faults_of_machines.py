"""Machines on real servers have a full disk, or lack GPUs or workers: flows say so, and nothing is lost.

The checks are those of test_faults_of_processes.py.
"""

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest
from lzn_testing.processes.process_info import command_line, environment_variable
from lzn_testing.projects.drill_project import TARGET
from lzn_testing.servers.fault_drill import Drill
from lzn_testing.servers.other_machine import fill_disk, gpu_machine, other_machine

from benchmarks.small_project import commit_all, read_params, write_params

pytestmark = pytest.mark.services


@pytest.mark.parametrize(
    ("what", "variable"), [("a checkpoint", "LZN_SHARED_STATE"), ("an output", "LZN_WORK")]
)
def test_a_full_disk_fails_the_flow_and_a_restart_resumes(
    drill: Drill, tmp_path: Path, what: str, variable: str
) -> None:
    """Fill the disk with the checkpoints, or the disk with the checkout, after the first checkpoint."""
    drill.reset()
    folders = {name: tmp_path / name for name in ("LZN_WORK", "LZN_SHARED_STATE")}
    for folder in folders.values():
        folder.mkdir()
    variables = {name: str(folder) for name, folder in folders.items()}
    with other_machine(drill.stack, tmp_path, disk=folders[variable], **variables) as machine:
        flow = drill.start()
        drill.wait_for_checkpoint(flow, machine.from_here(folders["LZN_SHARED_STATE"]))
        begin = time.monotonic()
        filler = machine.from_here(folders[variable]) / "filler"
        fill_disk(filler)
        assert "No space left on device" in drill.failure_of(flow)
        filler.unlink()
        again = drill.finish(flow)
    drill.check()
    drill.check_resumed()
    drill.record(
        f"the disk is full when {what} is written",
        "the stage and the flow fail and say so; with free space, the next start resumes from the checkpoint",
        again,
        time.monotonic() - begin,
    )


@pytest.fixture(scope="module")
def gpu_branch(drill: Drill) -> str:
    """A branch of the repository on which every stage needs two GPUs."""
    repository = Path(drill.environment["LZN_REPOSITORY"])
    subprocess.run(["git", "checkout", "--quiet", "-b", "gpu"], cwd=repository, check=True)
    params = read_params(repository)
    write_params(repository, params | {"resources": {"default": {"pool": "gpu", "gpus": 2}}})
    commit_all(repository, "gpu")
    subprocess.run(["git", "checkout", "--quiet", "-"], cwd=repository, check=True)
    return "gpu"


def test_a_stage_that_needs_more_gpus_than_the_cluster_has_fails(drill: Drill, gpu_branch: str) -> None:
    drill.reset()
    run = drill.api.start("reproduce", size="digits", targets=[TARGET], commit=gpu_branch)
    assert drill.failure_of(run) == (
        f"Stage '{TARGET}': it needs 2 GPUs, and the cluster's limit gpus, set by "
        "`python -m pipelines.cluster.deploy --gpus N`, is 0"
    )


def test_a_flow_logs_that_a_pool_has_no_workers(drill: Drill, gpu_branch: str) -> None:
    drill.reset()
    drill.deploy(gpus=2)
    run = drill.api.start("reproduce", size="digits", targets=[TARGET], commit=gpu_branch)
    waits = f"{TARGET} waits: no worker of the pool gpu is online (python -m infra.worker --pool gpu)"
    drill.wait_until(lambda: waits in drill.api.log_of(run), 120, "the flow's message")
    assert not drill.has_ended(run)
    drill.api.cancel(run)
    drill.wait_until_cancelled(run)
    drill.wait_until_cancelled(drill.child_run(TARGET))
    drill.deploy(gpus=0)


def test_two_machines_share_the_gpus_of_the_cluster(drill: Drill, gpu_branch: str, tmp_path: Path) -> None:
    """Each stage needs all GPUs. Workers take both stages, and one runs after the other."""
    drill.reset()
    drill.deploy(gpus=2)
    folders = [tmp_path / "first", tmp_path / "second"]
    for folder in folders:
        folder.mkdir()
    targets = [TARGET, "features@digits"]
    were_waiting = False
    used: dict[str, set[str]] = {}
    with (
        gpu_machine(drill.stack, folders[0], gpus=2) as one,
        gpu_machine(drill.stack, folders[1], gpus=2) as two,
    ):
        run = drill.api.start("reproduce", size="digits", targets=targets, commit=gpu_branch)

        def record_gpus() -> bool:
            nonlocal were_waiting
            running = [gpus_used(drill.orphans(work)) for work in (one, two)]
            assert not all(running), "both machines run a stage"
            for name, gpus in [item for machine in running for item in machine.items()]:
                used.setdefault(name, set()).add(gpus)
            were_waiting |= all(drill.running(target) for target in targets)
            return drill.has_ended(run)

        drill.wait_until(record_gpus, 300, "the flow's end")
    assert drill.api.state_of(run)["type"] == "COMPLETED", drill.api.state_of(run)
    assert were_waiting
    assert used == {"stages.train": {"0,1"}, "stages.features": {"0,1"}}
    [limit] = [each for each in drill.api.all_of("v2/concurrency_limits") if each["name"] == "gpus"]
    assert limit["active_slots"] == 0
    drill.check()
    drill.deploy(gpus=0)


def gpus_used(processes: Sequence[psutil.Process]) -> dict[str, str]:
    """Return CUDA_VISIBLE_DEVICES of the stages among the processes, by the stage's module."""
    return {
        word: gpus
        for process in processes
        for word in command_line(process)
        if word in ("stages.train", "stages.features")
        if (gpus := environment_variable(process, "CUDA_VISIBLE_DEVICES"))
    }
