"""Tags that MLflow's pages show."""

import re
import subprocess

import pytest

from stages.runtime import page_tags as module
from stages.runtime.page_tags import colour_of, describe_run, page_tags

RUNS = ("rf", "rf_lzn", "rf_conditional", "joint", "joint_no_gen", "joint_small_cutoff", "representation")


@pytest.mark.parametrize(
    "address",
    [
        "https://github.com/someone/lzn.git",
        "https://ann:secret@github.com/someone/lzn.git",
        "git@github.com:someone/lzn.git",
        "ssh://git@github.com/someone/lzn",
    ],
)
def test_the_source_is_a_page_of_the_repository_without_password(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setattr(module, "git", lambda *arguments: address)
    tags = page_tags("stages/train.py", description="text")
    assert tags["mlflow.source.name"] == "https://github.com/someone/lzn#stages/train.py"
    assert tags["mlflow.source.type"] == "PROJECT"
    assert tags["mlflow.note.content"] == "text"


def test_without_a_remote_the_source_is_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: str) -> str:
        raise subprocess.CalledProcessError(2, "git")

    monkeypatch.setattr(module, "git", fail)
    tags = page_tags("stages/train.py", description="text")
    assert (tags["mlflow.source.name"], tags["mlflow.source.type"]) == ("stages/train.py", "LOCAL")
    assert tags["mlflow.source.git.branch"] == "unknown"


def test_each_run_of_the_digits_has_a_colour_of_its_own() -> None:
    colours = {colour_of(run, RUNS) for run in RUNS}
    assert len(colours) == len(RUNS)
    assert all(re.fullmatch("#[0-9a-f]{6}", colour) for colour in colours)


def test_the_description_names_the_study_the_data_and_the_length_of_the_training() -> None:
    settings = {"study": "joint", "data": "digits", "training": {"num_steps": 7, "batch_size": 3}}
    assert describe_run(settings, name="a") == (
        "Run `a` of params.yaml: case study *joint* on `digits`, 7 training steps with batches of 3."
    )
