"""infra/slurm/train.sbatch on a real Slurm cluster of two nodes: trainings continue in a requeued job."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from lzn_testing.processes.process_info import command_line
from lzn_testing.processes.waiting import wait_until
from lzn_testing.servers.one_node_slurm import PATIENCE_SECONDS, OneNodeSlurm, job_variables
from ruamel.yaml import YAML

from benchmarks.small_project import copy_project, read_params, run_in, shrink_params, write_params

pytestmark = pytest.mark.services

NUM_STEPS = 60  # a signal arrives before the last step, also on a busy machine
TARGET = "train@rf"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy with prepared data and a small run rf with one seed."""
    folder = copy_project(tmp_path_factory.mktemp("projects") / "template")
    shrink_params(folder, num_steps=NUM_STEPS)
    params = read_params(folder)
    run = params["runs"]["rf"]
    run["seeds"] = [0]
    run["unet"] = {
        "base_channels": 4,
        "channel_multipliers": [1],
        "blocks_per_level": 1,
        "attention_resolutions": [],
    }
    run["training"] |= {"batch_size": 16}
    write_params(folder, params)
    prepared = run_in(folder, ["dvc", "repro", "--quiet", "--single-item", "prepare@digits"])
    assert prepared.returncode == 0, prepared.stderr
    return folder


@dataclass(frozen=True)
class DVCRecord:
    """What a training leaves in DVC: its entry in dvc.lock, the keys in the run-cache, and its files."""

    lock: dict[str, Any]
    run_cache: set[str]
    files: dict[str, bytes]

    @staticmethod
    def of(project: Path) -> "DVCRecord":
        lock = YAML(typ="safe").load(project / "dvc.lock")["stages"][TARGET]
        runs = project / ".dvc/cache/runs"
        files = [file for file in (project / "outputs/digits/train/rf").rglob("*") if file.is_file()]
        files += (project / "outputs/digits/plots/train").glob("rf.csv")
        return DVCRecord(
            lock,
            {file.relative_to(runs).as_posix() for file in runs.rglob("*") if file.is_file()},
            {file.relative_to(project).as_posix(): file.read_bytes() for file in files},
        )


@pytest.fixture(scope="module")
def without_slurm(project: Path) -> DVCRecord:
    """The record of the same training by ``dvc repro`` in two processes."""
    folder = project.with_name("without_slurm")
    shutil.copytree(project, folder)
    ended = run_in(folder, ["env", "LZN_PROCESSES=2", "dvc", "repro", "--single-item", TARGET])
    assert ended.returncode == 0, ended.stderr
    return DVCRecord.of(folder)


def last_checkpoint(project: Path) -> int:
    """Return the step of the newest complete checkpoint."""
    files = project.glob(".checkpoints/**/step_*.sha256")
    return max((int(file.stem.removeprefix("step_")) for file in files), default=0)


def wait_for_checkpoint_after(step: int, project: Path, slurm: OneNodeSlurm) -> None:
    def all_logs() -> str:
        logs = [*project.glob("slurm-*.log")]
        return slurm.logs() + "".join(log.read_text() for log in logs)

    wait_until(
        lambda: last_checkpoint(project) > step,
        f"a checkpoint after {step}",
        seconds=PATIENCE_SECONDS,
        context=all_logs,
    )


def test_a_training_on_two_nodes_interrupted_twice_is_recorded_as_by_dvc_repro(
    slurm: OneNodeSlurm, project: Path, without_slurm: DVCRecord
) -> None:
    folder = project.with_name("on_slurm")
    shutil.copytree(project, folder)
    number = slurm.submit(
        "infra/slurm/train.sbatch",
        "rf",
        folder=folder,
        options=["--nodes=2", "--time=30"],
        settings=job_variables(),
    )

    wait_for_checkpoint_after(0, folder, slurm)
    slurm.signal_script(number, "USR1")  # Slurm's signal before the time limit
    slurm.wait_for_requeue(number, restarts=1)
    stopped_after = last_checkpoint(folder)
    assert stopped_after < NUM_STEPS
    assert not slurm.processes_of_jobs()
    log = folder / f"slurm-train-{number}.log"
    assert f"train: stopped after step {stopped_after} of {NUM_STEPS}" in log.read_text()

    wait_for_checkpoint_after(stopped_after, folder, slurm)
    slurm.control("requeue", str(number))  # as a preemption does
    slurm.wait_for_requeue(number, restarts=2)
    assert last_checkpoint(folder) < NUM_STEPS

    ended = slurm.wait_for_end(number)
    assert (ended.state, ended.restarts) == ("COMPLETED", 2), log.read_text()
    assert not slurm.processes_of_jobs()
    assert DVCRecord.of(folder) == without_slurm
    status = run_in(folder, ["dvc", "status", TARGET])
    assert "up to date" in status.stdout


def test_a_cancelled_training_stays_cancelled(slurm: OneNodeSlurm, project: Path) -> None:
    folder = project.with_name("cancelled")
    shutil.copytree(project, folder)
    number = slurm.submit(
        "infra/slurm/train.sbatch", "rf", folder=folder, options=["--time=30"], settings=job_variables()
    )
    wait_for_checkpoint_after(0, folder, slurm)
    slurm.cancel(number)
    assert slurm.wait_for_end(number).state == "CANCELLED"
    wait_until(lambda: not slurm.processes_of_jobs(), "end of the job's processes", seconds=30)


def test_a_job_is_not_queued_again_after_its_last_restart(slurm: OneNodeSlurm, project: Path) -> None:
    folder = project.with_name("bounded")
    shutil.copytree(project, folder)
    number = slurm.submit(
        "infra/slurm/train.sbatch", "rf", folder=folder, options=["--time=30"],
        settings=job_variables(LZN_MAX_RESTARTS="0"),
    )  # fmt: skip

    def trains() -> bool:
        return any("stages.train" in command_line(process) for process in slurm.processes_of_jobs())

    wait_until(trains, "the training", seconds=PATIENCE_SECONDS, context=slurm.logs)
    slurm.signal_script(number, "USR1")
    assert slurm.wait_for_end(number).state == "FAILED"
    assert "Not queued again: restarted 0 times" in (folder / f"slurm-train-{number}.log").read_text()


def test_an_env_file_that_others_can_read_is_refused(
    slurm: OneNodeSlurm, project: Path, tmp_path: Path
) -> None:
    secrets = tmp_path / "env"
    secrets.write_text("export PREFECT_API_AUTH_STRING=admin:secret\n")
    secrets.chmod(0o640)
    for script in ("train.sbatch", "pilot_worker.sbatch"):
        number = slurm.submit(
            f"infra/slurm/{script}", "rf", folder=project, options=[f"--output={tmp_path}/log"],
            settings=job_variables(LZN_ENV_FILE=str(secrets)),
        )  # fmt: skip
        assert slurm.wait_for_end(number, seconds=30).state == "FAILED"
        log = (tmp_path / "log").read_text()
        assert "other users can read" in log
        assert "admin:secret" not in log
        (tmp_path / "log").unlink()
