"""Names of sizes, data sets, runs and blocks: one rule, wherever they are read."""

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from lzn_testing import PROJECT
from ruamel.yaml import YAML

from lzn.base.sections import ParamsError, is_key
from lzn.cli.catalogue import Catalogue
from lzn.inference.errors import UserError
from pipelines.check import read_params
from pipelines.sizes import current_size

BAD = [
    "my.photos",
    "my photos",
    2024,
    "2024",
    "photos@2x",
    "-x",
    "..",
    "",
    "a/b",
    "ä",
    "a\n",
    "_x",
    True,
    None,
    "a:b",
]
GOOD = ["photos", "Photos_2x", "a-b", "x"]
CONTENT: dict[str, Any] = YAML(typ="safe").load(PROJECT / "params.yaml")


def write(folder: Path, content: dict[str, Any]) -> Path:
    file = folder / "params.yaml"
    YAML(typ="safe").dump(content, file)
    return file


@pytest.mark.parametrize("name", BAD)
def test_other_names_are_no_keys(name: object) -> None:
    assert not is_key(name)


@pytest.mark.parametrize("name", GOOD)
def test_letters_digits_underscores_and_hyphens_are_keys(name: str) -> None:
    assert is_key(name)


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("section", ["data", "runs", "imports", "networks", "latents", "schedules"])
def test_the_check_refuses_other_names_and_says_the_rule(section: str, name: object, tmp_path: Path) -> None:
    content = copy.deepcopy(CONTENT)
    content[section] = {**(content[section] or {}), name: {}}
    with pytest.raises(
        ParamsError, match="is not allowed: use a letter, then letters, digits, _ or -"
    ) as raised:
        read_params(write(tmp_path, content))
    assert f"{section}: the name {name!r}" in str(raised.value)


@pytest.mark.parametrize("size", ["..", "my.photos", "2024", "a/b", "-x"])
def test_sizes_follow_the_same_rule_in_the_check_and_in_every_stage(size: str, tmp_path: Path) -> None:
    write(tmp_path, {**CONTENT, "size": size})
    with pytest.raises(ParamsError, match=f"size '{size}' is not allowed"):
        read_params(tmp_path / "params.yaml")
    with pytest.raises(ParamsError, match="size"):
        current_size(tmp_path)
    with pytest.raises(UserError, match="the name of a size is a letter"):
        Catalogue.find(tmp_path, size=size)


@pytest.mark.parametrize(("size", "item"), [("..", "digits"), ("digits", ".."), ("digits", "a/b")])
def test_a_stage_started_by_hand_refuses_other_names(size: str, item: str, tmp_path: Path) -> None:
    write(tmp_path, {**CONTENT, "size": size})
    command = [sys.executable, "-m", "stages.prepare", item]
    environment = {"PYTHONPATH": str(PROJECT), "PATH": "/usr/bin:/bin"}
    result = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["params.yaml"]
