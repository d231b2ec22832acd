"""A whole parameter file, checked before anything is run."""

import copy
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from stages.check import main, read_params
from stages.params import ParamsError

FILE = Path(__file__).parents[2] / "params.yaml"


def changed(folder: Path, **sections: Any) -> Path:
    """The repository's file with some of its sections replaced; None takes a section out."""
    content = copy.deepcopy(YAML(typ="safe").load(FILE))
    content.update(sections)
    file = folder / "params.yaml"
    YAML(typ="safe").dump({name: section for name, section in content.items() if section is not None}, file)
    return file


def families(**changes: list[str]) -> dict[str, list[str]]:
    return {"generative": ["rf"], "classifying": ["joint"], "representing": ["representation"], **changes}


def test_the_repositorys_own_file_is_good() -> None:
    params = read_params(FILE)
    assert params.size == "digits"
    assert set(params.families.generative) <= set(params.runs)


@pytest.mark.parametrize(
    ("family", "listed", "message"),
    [
        ("generative", ["rf", "rg"], "families.generative lists rg; the runs that can be listed are joint, "),
        ("generative", ["joint_no_gen"], "families.generative lists joint_no_gen; the runs"),
        (
            "classifying",
            ["rf", "joint"],
            "families.classifying lists rf; the runs that can be listed are joint",
        ),
        (
            "representing",
            ["rf"],
            "families.representing lists rf; the runs that can be listed are representation",
        ),
    ],
)
def test_a_family_that_lists_a_run_that_is_not_there_or_not_able_is_told_which_are(
    tmp_path: Path, family: str, listed: list[str], message: str
) -> None:
    file = changed(tmp_path, families=families(**{family: listed}))
    with pytest.raises(ParamsError) as raised:
        read_params(file)
    assert str(raised.value).startswith(f"{file}: {message}")


def test_a_missing_an_unknown_and_a_wrong_section_have_a_line_each(tmp_path: Path) -> None:
    file = changed(tmp_path, probe=None, prob={"seed": 0}, hardware={"num_threads": 0})
    with pytest.raises(ParamsError) as raised:
        read_params(file)
    lines = str(raised.value).splitlines()
    assert f"{file}: probe: Field required" in lines
    assert f"{file}: hardware.num_threads: Input should be greater than or equal to 1 (got 0)" in lines
    (unknown,) = (line for line in lines if "unknown key" in line)
    assert unknown.startswith(
        f"{file}: prob: unknown key; allowed here: classify, data, families, features, hardware"
    )


def test_a_mistake_deep_in_a_run_is_named_with_its_whole_path(tmp_path: Path) -> None:
    runs = YAML(typ="safe").load(FILE)["runs"]
    runs["joint"] = {**runs["joint"], "latent": {**runs["joint"]["latent"], "dim": 0}}
    file = changed(tmp_path, runs=runs)
    with pytest.raises(ParamsError) as raised:
        read_params(file)
    assert (
        str(raised.value)
        == f"{file}: runs.joint.latent.dim: Input should be greater than or equal to 1 (got 0)"
    )


def test_the_command_says_what_is_in_a_good_file_and_ends_with_an_error_for_a_bad_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = changed(tmp_path, size=None)
    monkeypatch.setattr(sys, "argv", ["stages.check", str(FILE), str(bad)])
    with pytest.raises(SystemExit) as raised:
        main()
    assert raised.value.code == f"{bad}: size: Field required"  # printed on stderr, exit code 1
    assert capsys.readouterr().out.startswith(f"{FILE}: size digits, ")
