"""`make dry` lists the commands of a size, and leaves nothing behind."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from lzn_testing import PROJECT

from lzn.base.sections import ParamsError
from pipelines.dry import temporary_project


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """Make a project with two sizes and one stage."""
    (tmp_path / "dvc.yaml").write_text("stages: {make: {cmd: 'echo ${size}', outs: [made]}}\n")
    (tmp_path / "params.yaml").write_text("size: small\n")
    (tmp_path / "sizes").mkdir()
    (tmp_path / "sizes/large.yaml").write_text("size: large\n")
    return tmp_path


def dry(project: Path, *files: str) -> "subprocess.CompletedProcess[str]":
    temporary, cache = (project.parent / name for name in ("temporary", "cache"))
    temporary.mkdir(exist_ok=True)
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "TMPDIR": str(temporary), "HOME": str(cache)}
    return subprocess.run(
        [sys.executable, "-m", "pipelines.dry", *files],
        cwd=project, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_commands_of_each_size_are_listed_and_nothing_else_is_printed(toy: Path) -> None:
    before = sorted(toy.rglob("*"))
    ended = dry(toy, "params.yaml", "sizes/large.yaml")
    lines = [line for line in ended.stdout.splitlines() if line and not line.startswith("Use `dvc push`")]
    assert lines == [
        "params.yaml:", "Running stage 'make':", "> echo small",
        "sizes/large.yaml:", "Running stage 'make':", "> echo large",
    ]  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, "")
    assert sorted(toy.rglob("*")) == before
    assert list((toy.parent / "temporary").iterdir()) == []


def test_a_missing_file_and_a_dvc_yaml_that_does_not_fit_are_errors_that_name_the_file(toy: Path) -> None:
    ended = dry(toy, "sizes/none.yaml")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("error: sizes/none.yaml: no such file in ")
    (toy / "sizes/large.yaml").write_text("sise: large\n")
    ended = dry(toy, "sizes/large.yaml")
    assert ended.returncode == 1
    assert ended.stderr.endswith("error: sizes/large.yaml: dvc repro --dry ended with exit code 255\n")
    assert "size" in ended.stderr


def test_an_interrupted_block_removes_the_temporary_project_with_the_cache_of_dvc(toy: Path) -> None:
    project = temporary_project(toy / "sizes/large.yaml", toy)
    folder = project.__enter__()
    assert f"site_cache_dir = {folder}" in (folder / ".dvc/config").read_text()
    assert not project.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert not folder.exists()


def test_outside_the_project_the_error_says_where_to_run(toy: Path) -> None:
    with (
        pytest.raises(ParamsError, match=r"dvc\.yaml: no such file .* in the folder of the project"),
        temporary_project(toy / "params.yaml", toy / "sizes"),
    ):
        pass
