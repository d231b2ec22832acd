"""The current size is switched without losing edits, and wrong sizes are named."""

import shutil
import subprocess
from pathlib import Path

import pytest
from dvc.utils.hydra import apply_overrides
from lzn_testing import PROJECT

from lzn.base.sections import ParamsError, read_yaml
from pipelines.sizes import EditedParamsError, UnknownSizeError, current_size, switch_size

FILES = [PROJECT / "params.yaml", *sorted((PROJECT / "sizes").glob("*.yaml"))]


def commit(project: Path) -> None:
    for command in (["add", "."], ["-c", "user.name=x", "-c", "user.email=x@x", "commit", "-qm", "sizes"]):
        subprocess.run(["git", *command], cwd=project, check=True)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Make a git repository with the project's parameter files."""
    shutil.copytree(PROJECT / "sizes", tmp_path / "sizes")
    shutil.copyfile(PROJECT / "params.yaml", tmp_path / "params.yaml")
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    commit(tmp_path)
    return tmp_path


def test_after_a_switch_and_back_params_yaml_has_its_committed_bytes(project: Path) -> None:
    committed = (project / "params.yaml").read_bytes()
    assert switch_size("fashion", project)
    assert current_size(project) == "fashion"
    assert (project / "params.yaml").read_bytes() == (project / "sizes/fashion.yaml").read_bytes()
    assert switch_size("paper", project)
    assert switch_size("digits", project)
    assert (project / "params.yaml").read_bytes() == committed


def test_a_switch_to_the_current_size_keeps_edits(project: Path) -> None:
    with (project / "params.yaml").open("a") as file:
        file.write("# an edit\n")
    assert not switch_size("digits", project)
    assert (project / "params.yaml").read_text().endswith("# an edit\n")


def test_edits_that_would_be_lost_are_refused(project: Path) -> None:
    with (project / "params.yaml").open("a") as file:
        file.write("# an edit\n")
    with pytest.raises(EditedParamsError, match="commit the edits"):
        switch_size("fashion", project)
    assert (project / "params.yaml").read_text().endswith("# an edit\n")


def test_an_unknown_size_is_an_error_that_lists_the_sizes(project: Path) -> None:
    with pytest.raises(UnknownSizeError, match="digits, fashion, paper"):
        switch_size("poster", project)


def test_a_committed_edit_of_a_size_in_sizes_is_not_lost_and_the_ambiguous_size_is_an_error(
    project: Path,
) -> None:
    switch_size("fashion", project)
    with (project / "params.yaml").open("a") as file:
        file.write("# an edit\n")
    with pytest.raises(EditedParamsError):
        switch_size("paper", project)
    commit(project)
    assert switch_size("paper", project)
    with pytest.raises(
        ParamsError, match=r"params\.yaml of the last commit both have size fashion, and they"
    ):
        switch_size("fashion", project)


def test_two_files_of_one_size_are_an_error_that_names_both(project: Path) -> None:
    shutil.copyfile(project / "sizes/fashion.yaml", project / "sizes/mine.yaml")
    with pytest.raises(
        ParamsError, match=r"sizes/fashion\.yaml and .*sizes/mine\.yaml both have size fashion"
    ):
        switch_size("mine", project)


def test_a_file_of_another_size_than_its_name_is_named(project: Path) -> None:
    (project / "sizes/mine.yaml").write_text("size: other\n")
    with pytest.raises(UnknownSizeError, match=r"no size mine; .*sizes/mine\.yaml has size other"):
        switch_size("mine", project)


def test_a_parameter_file_without_a_size_is_an_error(project: Path) -> None:
    (project / "sizes/mine.yaml").write_text("sise: mine\n")
    with pytest.raises(ParamsError, match=r"mine\.yaml: size is missing"):
        switch_size("fashion", project)
    (project / "params.yaml").write_text("sise: digits\n")
    with pytest.raises(ParamsError, match=r"params\.yaml: size is missing"):
        current_size(project)


def test_without_git_the_current_params_yaml_is_kept(project: Path) -> None:
    shutil.rmtree(project / ".git")
    with pytest.raises(EditedParamsError, match="save it in sizes/"):
        switch_size("fashion", project)


def test_outside_the_project_the_error_says_where_to_run(tmp_path: Path) -> None:
    with pytest.raises(UnknownSizeError, match="run this in the folder of the project"):
        switch_size("digits", tmp_path)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_dvc_rewrites_no_line_of_a_parameter_file_that_is_not_set(file: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copy(file, tmp_path))
    apply_overrides(copy, [])
    assert copy.read_bytes() == file.read_bytes()


def test_names_of_runs_and_data_sets_are_unique_over_sizes() -> None:
    for section in ("runs", "data"):
        names = [name for file in FILES for name in read_yaml(file)[section]]
        assert len(set(names)) == len(names)
