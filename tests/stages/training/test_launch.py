"""The number of workers of the stage train, their threads and devices, and errors of wrong numbers."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from lzn_testing import PROJECT
from lzn_testing.projects.train_folder import PARAMS

from lzn.base.sections import ParamsError
from stages.training.launch import num_workers_to_start

NOT_POSITIVE_INTEGERS = ["0", "-2", "two", "1.5", ""]


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LZN_PROCESSES", "RANK", "PET_NNODES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


def test_without_devices_and_variables_no_worker_is_started() -> None:
    assert num_workers_to_start(batch_size=16) is None


def test_lzn_processes_is_the_number_of_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LZN_PROCESSES", "3")
    assert num_workers_to_start(batch_size=16) == 3


def test_with_one_process_no_worker_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LZN_PROCESSES", "1")
    assert num_workers_to_start(batch_size=16) is None


def test_a_worker_starts_no_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LZN_PROCESSES", "3")
    monkeypatch.setenv("RANK", "0")
    assert num_workers_to_start(batch_size=16) is None


def test_with_several_machines_one_process_is_a_worker_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PET_NNODES", "1:2")
    assert num_workers_to_start(batch_size=16) == 1


@pytest.mark.parametrize("text", NOT_POSITIVE_INTEGERS)
def test_lzn_processes_must_be_a_positive_integer(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LZN_PROCESSES", text)
    with pytest.raises(ParamsError, match=f"LZN_PROCESSES is '{text}': it must be a positive integer"):
        num_workers_to_start(batch_size=16)


def test_the_number_of_machines_must_be_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PET_NNODES", "many")
    with pytest.raises(ParamsError, match="PET_NNODES is 'many'"):
        num_workers_to_start(batch_size=16)


def test_more_processes_than_samples_of_a_batch_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LZN_PROCESSES", "3")
    monkeypatch.setenv("PET_NNODES", "2")
    with pytest.raises(ParamsError, match="cannot share a batch of 5"):
        num_workers_to_start(batch_size=5)


def run_python(*arguments: str, folder: Path, **settings: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), **settings}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_stage_prints_the_error_and_ends_with_exit_code_1(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(PARAMS.format(num_steps=1, seeds=[0]))
    ended = run_python("-m", "stages.train", "rf", folder=tmp_path, LZN_PROCESSES="all")
    assert ended.returncode == 1
    assert ended.stderr.startswith("train: LZN_PROCESSES is 'all': it must be a positive integer")
    assert ended.stderr.count("\n") == 1


def test_a_worker_uses_an_equal_share_of_the_threads(tmp_path: Path) -> None:
    ask = (
        "import torch; from stages.training.launch import configure_worker; "
        "print(configure_worker(torch.device('cpu'), num_threads=5), torch.get_num_threads())"
    )
    place = {"RANK": "3", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}
    assert run_python("-c", ask, folder=tmp_path, **place).stdout == "cpu 2\n"
