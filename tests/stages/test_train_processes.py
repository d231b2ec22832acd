"""The stage train in several processes: one curve, one set of outputs and one MLflow run, also after a kill."""

import csv
import re
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from lzn_testing.projects.train_folder import OUTPUTS, Ended, TrainFolder, workers_of
from lzn_testing.servers.mlflow_runs import curve, only_run

from pipelines.local.prefect_server import free_port

pytestmark = pytest.mark.slow  # many real processes, each of which imports torch

NUM_STEPS = 84  # enough that a signal arrives in time on a busy machine
TOLERANCE = 1e-4
"""Relative tolerance of the curve. Sums over parts of a batch differ by 1e-7 in float32. Adam's first steps, whose size
does not depend on that of the gradient, transfer this to the weights. Measured: 1e-7 in 150 steps."""
MINUTE = 60.0
TORCHRUN = "torch.distributed.run --standalone --nproc-per-node 2 -m -- stages.train rf"


def losses(ended: Ended) -> dict[int, float]:
    rows = csv.DictReader(ended.outputs["rf.csv"].decode().splitlines())
    return {int(row["step"]): float(row["loss"]) for row in rows}


def are_gone(processes: list[psutil.Process]) -> bool:
    """Return whether all processes end within 15 s; workers check every second whether their launcher has ended."""
    _, alive = psutil.wait_procs(processes, timeout=15)
    return not alive


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """A training by one process without interruption."""
    folder = TrainFolder(tmp_path_factory.mktemp("train") / "alone", num_steps=NUM_STEPS)
    return Ended.of(folder, folder.start_training())


def test_two_processes_train_the_same_curve_and_leave_one_set_of_outputs_and_one_mlflow_run(
    alone: Ended, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = TrainFolder(tmp_path_factory.mktemp("train") / "two", num_steps=NUM_STEPS)
    ended = Ended.of(folder, folder.start_training(LZN_PROCESSES="2"))
    assert (ended.returncode, ended.status, ended.stderr) == (0, "FINISHED", "")
    assert re.fullmatch(rf"rf, seed 0: step {NUM_STEPS}: loss .*\n", ended.stdout)
    assert sorted(ended.outputs) == sorted(OUTPUTS)
    assert losses(ended) == pytest.approx(losses(alone), rel=TOLERANCE)
    assert ended.outputs["run.json"] == alone.outputs["run.json"]
    run = only_run(folder.uri, "lzn-tiny")
    assert curve(folder.uri, run, "train/loss") == list(losses(ended).items())
    assert run.data.tags["processes"] == "2"


@dataclass(frozen=True)
class History:
    """One training: two processes, one of which is killed; then three until SIGTERM; then one to the end."""

    killed: Ended
    killed_workers: list[psutil.Process]
    terminated: Ended
    terminated_workers: list[psutil.Process]
    finished: Ended


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    folder = TrainFolder(tmp_path_factory.mktemp("train") / "disturbed", num_steps=NUM_STEPS)
    process = folder.start_training(LZN_PROCESSES="2")
    folder.wait_for_checkpoint_after(0, process)
    killed_workers = workers_of(process)
    killed_workers[1].kill()
    killed = Ended.of(folder, process)

    process = folder.start_training(LZN_PROCESSES="3")
    folder.wait_for_checkpoint_after(killed.checkpoints[-1], process)
    terminated_workers = workers_of(process)
    process.send_signal(signal.SIGTERM)
    terminated = Ended.of(folder, process)

    finished = Ended.of(folder, folder.start_training())
    return History(killed, killed_workers, terminated, terminated_workers, finished)


def test_after_a_worker_is_killed_the_others_end_within_a_minute_and_the_error_says_what_to_do(
    history: History,
) -> None:
    ended = history.killed
    assert ended.returncode == 1
    assert ended.seconds < MINUTE
    assert are_gone(history.killed_workers)
    assert "process 1 was killed by SIGKILL" in ended.stderr
    assert "run the same command again: it resumes from the last checkpoint" in ended.stderr
    assert ended.checkpoints[-1] > 0
    assert ended.outputs == {}


def test_sigterm_stops_all_processes_at_a_checkpoint_and_ends_the_mlflow_run_as_killed(
    history: History,
) -> None:
    ended = history.terminated
    assert ended.returncode == 128 + signal.SIGTERM
    assert are_gone(history.terminated_workers)
    assert len(history.terminated_workers) == 3
    assert ended.status == "KILLED"
    assert ended.outputs == {}
    printed = re.fullmatch(
        rf"train: stopped after step (\d+) of {NUM_STEPS}; the next dvc repro resumes .*\n", ended.stderr
    )
    assert printed is not None, ended.stderr
    assert ended.checkpoints[-1] == int(printed[1]) > history.killed.checkpoints[-1]


def test_another_number_of_processes_continues_to_the_same_curve(history: History, alone: Ended) -> None:
    ended = history.finished
    assert (ended.returncode, ended.status, ended.stderr) == (0, "FINISHED", "")
    assert losses(ended) == pytest.approx(losses(alone), rel=TOLERANCE)


def start_machines(folder: TrainFolder, *, how_many: int = 2) -> "list[subprocess.Popen[str]]":
    """Start ``how_many`` of two machines, with one process each."""
    meeting = {"PET_NNODES": "2", "PET_MASTER_ADDR": "127.0.0.1", "PET_MASTER_PORT": str(free_port())}
    return [folder.start_training(**meeting, PET_NODE_RANK=str(rank)) for rank in range(how_many)]


def test_two_machines_stop_together_and_train_the_same_curve(
    alone: Ended, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = TrainFolder(tmp_path_factory.mktemp("train") / "machines", num_steps=NUM_STEPS)

    first, second = start_machines(folder)
    folder.wait_for_checkpoint_after(0, first)
    second.send_signal(signal.SIGTERM)
    ends = Ended.of(folder, first), Ended.of(folder, second)
    assert [ended.returncode for ended in ends] == [128 + signal.SIGTERM] * 2, ends
    assert ends[0].stderr.startswith("train: stopped after step ")
    assert ends[1].stderr == ""
    assert ends[0].status == "KILLED"

    ends = tuple(Ended.of(folder, process) for process in start_machines(folder))
    assert [ended.returncode for ended in ends] == [0, 0], ends
    assert [ended.stdout.count("\n") for ended in ends] == [1, 0]
    assert ends[1].status == "FINISHED"
    assert losses(ends[1]) == pytest.approx(losses(alone), rel=TOLERANCE)


def test_sigterm_ends_the_wait_for_another_machine(tmp_path: Path) -> None:
    (waiting,) = start_machines(TrainFolder(tmp_path / "waiting", num_steps=NUM_STEPS), how_many=1)
    process = psutil.Process(waiting.pid)
    deadline = time.monotonic() + MINUTE
    while not any(connection.status == psutil.CONN_LISTEN for connection in process.net_connections()):
        assert waiting.poll() is None, waiting.communicate()[1]
        assert time.monotonic() < deadline, "the process does not wait for the other machine"
        time.sleep(0.02)
    waiting.send_signal(signal.SIGTERM)
    waiting.communicate(timeout=MINUTE)
    assert waiting.returncode == 128 + signal.SIGTERM


def test_a_user_can_call_torchrun_and_its_workers_end_with_it(
    alone: Ended, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = TrainFolder(tmp_path_factory.mktemp("train") / "by_hand", num_steps=NUM_STEPS)
    process = folder.start_python("-m", *TORCHRUN.split())
    folder.wait_for_checkpoint_after(0, process)
    workers = workers_of(process)
    process.kill()
    assert are_gone(workers)
    process.communicate(timeout=MINUTE)

    ended = Ended.of(folder, folder.start_python("-m", *TORCHRUN.split()))
    assert ended.returncode == 0, ended.stderr
    assert losses(ended) == pytest.approx(losses(alone), rel=TOLERANCE)
