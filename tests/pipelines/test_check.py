"""Errors in a parameter file are found before a stage runs."""

import copy
import sys
from pathlib import Path
from typing import Any

import pytest
from lzn_testing import PROJECT
from ruamel.yaml import YAML

from lzn.base.sections import ParamsError
from pipelines.check import main, read_params

FILE = PROJECT / "params.yaml"


def changed(folder: Path, **sections: Any) -> Path:
    """Write the repository's file with some sections replaced. None removes a section."""
    content = copy.deepcopy(YAML(typ="safe").load(FILE))
    content.update(sections)
    file = folder / "params.yaml"
    YAML(typ="safe").dump({name: section for name, section in content.items() if section is not None}, file)
    return file


GOOD = read_params(FILE)


def families(**changes: dict[str, str]) -> dict[str, dict[str, str]]:
    return {**GOOD.families.model_dump(), **changes}


@pytest.mark.parametrize("file", [FILE, *sorted(FILE.parent.glob("sizes/*.yaml"))], ids=str)
def test_the_repositorys_files_are_valid_and_named_after_their_size(file: Path) -> None:
    assert read_params(file).size == ("digits" if file == FILE else file.stem)


@pytest.mark.parametrize(
    ("family", "listed", "message"),
    [
        (
            "generative",
            {"rf": "digits", "rg": "digits"},
            "families.generative lists rg; the runs that can be listed",
        ),
        ("generative", {"joint_no_gen": "digits"}, "families.generative lists joint_no_gen; the runs"),
        (
            "classifying",
            {"rf": "digits"},
            "families.classifying lists rf; the runs that can be listed are joint",
        ),
        (
            "representing",
            {"rf": "digits"},
            "families.representing lists rf; the runs that can be listed are repr",
        ),
        (
            "representing",
            {"representation": "photos"},
            "families.representing.representation is photos, and the run",
        ),
        (
            "encoding",
            {"rf_lzn": "digits", "rf": "digits"},
            "families.encoding lists rf; the runs that can be listed are joint",
        ),
    ],
)
def test_a_family_with_an_unknown_or_unsuitable_run_is_an_error_that_lists_the_suitable_runs(
    tmp_path: Path, family: str, listed: dict[str, str], message: str
) -> None:
    file = changed(tmp_path, families=families(**{family: listed}))
    with pytest.raises(ParamsError) as raised:
        read_params(file)
    assert str(raised.value).startswith(f"{file}: {message}")


def test_a_run_on_unknown_data_is_an_error_that_lists_the_data_sets(tmp_path: Path) -> None:
    runs = YAML(typ="safe").load(FILE)["runs"]
    file = changed(tmp_path, runs={**runs, "rf": {**runs["rf"], "data": "photos"}})
    with pytest.raises(ParamsError, match="run rf has data photos; the section data has digits"):
        read_params(file)


@pytest.mark.parametrize(
    "section", ["features", "sample", "measure", "steps", "classify", "settings", "probe", "tsne", "zones"]
)
def test_a_stage_without_settings_for_the_data_of_a_family_is_an_error(tmp_path: Path, section: str) -> None:
    with pytest.raises(ParamsError, match=f"{section} has no settings for digits, which families"):
        read_params(changed(tmp_path, **{section: {}}))


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"linear_probe": "rf"}, "tables.linear_probe names rf; its runs are representation"),
        ({"figure19": "joint"}, "tables.figure19 names joint; its runs are representation"),
        (
            {"conditional": {"rf": "joint_no_gen"}},
            "tables.conditional names joint_no_gen; its runs are joint",
        ),
        ({"unconditional": {"digits": {"rf": "r"}}}, "tables.unconditional names r; its runs are joint, "),
    ],
)
def test_a_table_of_runs_outside_its_family_is_an_error(
    tmp_path: Path, tables: dict[str, Any], message: str
) -> None:
    with pytest.raises(ParamsError, match=message):
        read_params(changed(tmp_path, tables=tables))


def test_probe_settings_of_a_run_that_is_not_probed_are_an_error(tmp_path: Path) -> None:
    probe = YAML(typ="safe").load(FILE)["probe"]["digits"]
    own = {name: probe[name] for name in ("method", "controls", "along_training")}
    file = changed(tmp_path, probe={"digits": {**probe, "of_runs": {"rf": own}}})
    with pytest.raises(
        ParamsError, match=r"probe\.digits\.of_runs names rf; the runs of .* are representation"
    ):
        read_params(file)
    good = read_params(changed(tmp_path, probe={"digits": {**probe, "of_runs": {"representation": own}}}))
    assert good.probe["digits"].of("representation").controls == tuple(own["controls"])


def test_zones_of_a_labelled_run_without_classification_are_an_error(tmp_path: Path) -> None:
    zones = YAML(typ="safe").load(FILE)["zones"]
    without = {name: section for name, section in zones["digits"].items() if name != "classification"}
    with pytest.raises(
        ParamsError, match=r"zones\.digits has no classification, which run joint of families"
    ):
        read_params(changed(tmp_path, zones={"digits": without}))
    unlabelled = families(encoding={"rf_lzn": "digits", "representation": "digits"})
    assert read_params(changed(tmp_path, zones={"digits": without}, families=unlabelled)).zones


def test_a_run_and_an_import_cannot_share_a_name(tmp_path: Path) -> None:
    run = {**YAML(typ="safe").load(FILE)["runs"]["rf_lzn"], "seeds": [0]}
    imported = {"source": "released", "path": "rf_lzn.pt", "sha256": 64 * "0", "run": run}
    with pytest.raises(ParamsError, match="imports and runs both have rf_lzn"):
        read_params(changed(tmp_path, imports={"rf_lzn": imported}))
    assert "released" in read_params(changed(tmp_path, imports={"released": imported})).all_runs


@pytest.mark.parametrize("size", ["", "a/b", "..", "two words"])
def test_a_size_that_cannot_name_a_folder_is_an_error(tmp_path: Path, size: str) -> None:
    with pytest.raises(ParamsError, match="is not allowed: use a letter"):
        read_params(changed(tmp_path, size=size))


def test_an_import_has_one_seed(tmp_path: Path) -> None:
    run = {**YAML(typ="safe").load(FILE)["runs"]["rf_lzn"], "seeds": [0, 1]}
    imported = {"source": "released", "path": "rf_lzn.pt", "sha256": 64 * "0", "run": run}
    with pytest.raises(ParamsError, match=r"run\.seeds: a checkpoint has one seed"):
        read_params(changed(tmp_path, imports={"released": imported}))


def test_a_missing_an_unknown_and_a_wrong_section_have_one_line_each(tmp_path: Path) -> None:
    file = changed(tmp_path, probe=None, prob={"seed": 0}, hardware={"num_threads": 0})
    with pytest.raises(ParamsError) as raised:
        read_params(file)
    lines = str(raised.value).splitlines()
    assert f"{file}: probe: Field required" in lines
    assert f"{file}: hardware.num_threads: Input should be greater than or equal to 1 (got 0)" in lines
    (unknown,) = (line for line in lines if "unknown key" in line)
    assert unknown.startswith(
        f"{file}: prob: unknown key; allowed here: checkpoints, classify, data, families, features, hardware"
    )


def test_an_error_deep_in_a_run_is_named_with_its_whole_path(tmp_path: Path) -> None:
    runs = YAML(typ="safe").load(FILE)["runs"]
    runs["joint"] = {**runs["joint"], "latent": {"dim": 0}}
    file = changed(tmp_path, runs=runs)
    with pytest.raises(ParamsError) as raised:
        read_params(file)
    assert (
        str(raised.value)
        == f"{file}: runs.joint.latent.dim: Input should be greater than or equal to 1 (got 0)"
    )


def test_the_command_checks_all_files_and_ends_with_the_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = changed(tmp_path, size=None)
    monkeypatch.setattr(sys, "argv", ["pipelines.check", str(bad), str(FILE)])
    with pytest.raises(SystemExit) as raised:
        main()
    assert raised.value.code == f"{bad}: size: Field required"  # printed on stderr, exit code 1
    assert capsys.readouterr().out.startswith(f"{FILE}: size digits, ")
