"""Progress bars of stages: on terminals and for flows, and nowhere else."""

import os
import subprocess
import sys

import pytest
from lzn_testing import PROJECT

from pipelines.processes.progress_lines import read_progress
from pipelines.processes.stage_runner import stage_environment

PROGRAM = """
from pathlib import Path
import torch
from stages.runtime.stage_main import StageCall
call = StageCall(None, "rf", None, torch.device("cpu"), seed=0, shows_progress={shown})
with call.progress(total=4, unit="step") as bar:
    bar.update(4)
"""


@pytest.fixture
def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "LZN_PROGRESS_BARS"}


def output_of(environment: dict[str, str], *, shown: bool = True) -> list[str]:
    """Return the lines of a pipe."""
    command = [sys.executable, "-c", PROGRAM.format(shown=shown)]
    ended = subprocess.run(
        command,
        cwd=PROJECT,
        env=environment,
        check=True,
        stderr=subprocess.STDOUT,
        stdout=subprocess.PIPE,
        text=True,
    )
    return [line for line in ended.stdout.replace("\r", "\n").splitlines() if line.strip()]


def test_without_a_flow_a_pipe_gets_no_bar(environment: dict[str, str]) -> None:
    assert output_of(environment) == []


def test_a_flow_reads_the_progress_of_a_stage(environment: dict[str, str]) -> None:
    *_, last = output_of(stage_environment(environment))
    progress = read_progress(last)
    assert progress is not None
    assert (progress.percent, progress.text[:15]) == (100.0, "rf seed 0: 4/4 ")


def test_of_parallel_seeds_only_one_shows_a_bar(environment: dict[str, str]) -> None:
    assert output_of(stage_environment(environment), shown=False) == []
