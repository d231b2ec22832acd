import shutil
import subprocess
from pathlib import Path

import pytest
from dvc.utils.hydra import apply_overrides
from lzn_testing import PROJECT

from lzn.base.sections import read_yaml
from pipelines.sizes import EditedParamsError, UnknownSizeError, current_size, switch_size

FILES = [PROJECT / "params.yaml", *sorted((PROJECT / "sizes").glob("*.yaml"))]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A git repository with the project's parameter files."""
    shutil.copytree(PROJECT / "sizes", tmp_path / "sizes")
    shutil.copyfile(PROJECT / "params.yaml", tmp_path / "params.yaml")
    for command in (
        ["git", "init", "-q"],
        ["git", "add", "."],
        ["git", "-c", "user.name=x", "-c", "user.email=x@x", "commit", "-qm", "sizes"],
    ):
        subprocess.run(command, cwd=tmp_path, check=True)
    return tmp_path


def test_a_size_is_put_in_place_and_the_committed_one_comes_back_byte_for_byte(project: Path) -> None:
    committed = (project / "params.yaml").read_bytes()
    assert switch_size("fashion", project)
    assert current_size(project) == "fashion"
    assert (project / "params.yaml").read_bytes() == (project / "sizes/fashion.yaml").read_bytes()
    assert switch_size("paper", project)
    assert switch_size("digits", project)
    assert (project / "params.yaml").read_bytes() == committed


def test_the_size_in_force_is_left_as_it_is_with_its_edits(project: Path) -> None:
    with (project / "params.yaml").open("a") as file:
        file.write("# an edit\n")
    assert not switch_size("digits", project)
    assert (project / "params.yaml").read_text().endswith("# an edit\n")


def test_edits_that_would_be_lost_are_refused(project: Path) -> None:
    with (project / "params.yaml").open("a") as file:
        file.write("# an edit\n")
    with pytest.raises(EditedParamsError, match="commit them"):
        switch_size("fashion", project)
    assert (project / "params.yaml").read_text().endswith("# an edit\n")


def test_an_unknown_size_is_refused_with_those_that_there_are(project: Path) -> None:
    with pytest.raises(UnknownSizeError, match="digits, fashion, paper"):
        switch_size("poster", project)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_dvc_rewrites_no_other_line_of_a_parameter_file_than_the_one_that_is_set(
    file: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copy(file, tmp_path))
    apply_overrides(copy, [])
    assert copy.read_bytes() == file.read_bytes()


def test_names_of_runs_and_data_sets_are_unique_over_sizes() -> None:
    for section in ("runs", "data"):
        names = [name for file in FILES for name in read_yaml(file)[section]]
        assert len(set(names)) == len(names)
