"""A training that needs more memory than its GPUs have is refused, and real steps can be measured."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from lzn_testing import PROJECT
from ruamel.yaml import YAML

from lzn.base.sections import ParamsError
from pipelines.check import read_params, require_memory
from pipelines.memory import memory_of, processes_of
from pipelines.memory_estimate import GIB
from pipelines.resources import Resources


def digits_on(folder: Path, **train: Any) -> Path:
    """Write the digits' parameters with other resources of trainings."""
    content = YAML(typ="safe").load((PROJECT / "params.yaml").read_text())
    content["resources"]["train@joint"] = train
    file = folder / "params.yaml"
    YAML(typ="safe").dump(content, file)
    return file


def test_a_run_that_needs_more_than_gpu_memory_gib_is_refused_with_the_key(tmp_path: Path) -> None:
    file = digits_on(tmp_path, pool="gpu", gpus=2, gpu_memory_gib=0.001)
    message = r"runs.joint needs .* GiB on each of 2 GPUs, and resources.train@joint.gpu_memory_gib is 0.001"
    with pytest.raises(ParamsError, match=f"params.yaml: {message}"):
        require_memory(file, read_params(file))


def test_a_run_that_fits_is_accepted_up_to_its_estimate(tmp_path: Path) -> None:
    run = read_params(PROJECT / "params.yaml").runs["joint"]
    data = read_params(PROJECT / "params.yaml").data[run.data]
    needed = memory_of(run, data, num_processes=2).total / GIB
    file = digits_on(tmp_path, pool="gpu", gpus=2, gpu_memory_gib=needed)
    require_memory(file, read_params(file))
    file = digits_on(tmp_path, pool="gpu", gpus=2, gpu_memory_gib=0.99 * needed)
    with pytest.raises(ParamsError):
        require_memory(file, read_params(file))


def test_memory_of_gpus_without_gpus_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r"resources.train@joint: gpu_memory_gib 80 without gpus"):
        read_params(digits_on(tmp_path, pool="cpu", gpu_memory_gib=80))


def test_the_resources_of_a_run_come_before_those_of_all_trainings() -> None:
    gpus = {"default": 0, "train": 8, "train@rf": 2}
    resources = {key: Resources(pool="gpu" if count else "cpu", gpus=count) for key, count in gpus.items()}
    assert [processes_of(resources, run) for run in ("rf", "joint")] == [2, 8]
    assert processes_of({"default": resources["default"]}, "rf") == 1


@pytest.mark.slow  # a process with ten steps
def test_the_command_measures_steps_of_a_run() -> None:
    command = [sys.executable, "-m", "pipelines.plan", "--measure", "--run", "rf", "params.yaml"]
    ended = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    (row,) = (line.split() for line in ended.stdout.splitlines() if line.split()[:1] == ["rf"])
    assert row[1] == "128"
    assert all(float(cell) > 0 for cell in row[2:6])
    assert row[6] == "-"  # the paper did not train on digits
