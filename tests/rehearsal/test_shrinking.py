"""The rule makes the paper's size small without changing its DAG, and every pattern of it is used."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lzn_testing import PROJECT

from benchmarks.small_project import write_params
from lzn.base.sections import read_yaml
from pipelines.check import read_params
from rehearsal.shrinking import RULE, Divide, Multiply, change_of, shrink

PAPER = read_yaml(PROJECT / "sizes/paper.yaml")


def values(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in content.items():
        if isinstance(value, Mapping):
            yield from values(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def test_the_small_file_is_valid_and_has_the_stages_and_runs_of_the_size(tmp_path: Path) -> None:
    write_params(tmp_path, shrink(PAPER))
    small = read_params(tmp_path / "params.yaml")
    assert small.stages == read_params(PROJECT / "sizes/paper.yaml").stages
    assert [key for key, _ in values(shrink(PAPER))] == [key for key, _ in values(PAPER)]


def test_each_pattern_of_the_rule_changes_a_value_of_the_paper() -> None:
    changed = {change_of(key)[0] for key, value in values(PAPER) if change_of(key) and value is not None}
    assert changed == set(RULE)


def test_numbers_that_are_left_are_small_or_no_cost() -> None:
    numbers = {
        key: value
        for key, value in values(shrink(PAPER))
        if isinstance(value, int) and not isinstance(value, bool)
    }
    assert {key.rpartition(".")[2] for key, value in numbers.items() if value > 20} == {
        "image_size",
        "size",
        "train",
        "test",
        "dim",
        "depth",
    }


def test_a_list_has_no_number_twice_and_keeps_its_order() -> None:
    assert shrink({"steps": {"a": {"num_steps": [2, 5, 100, 200]}}}) == {
        "steps": {"a": {"num_steps": [1, 2, 4]}}
    }


def test_values_are_rounded_up_and_kept_in_their_range() -> None:
    change = Divide(10, least=2, most=5)
    assert [change(value) for value in (1, 21, 30, 1000)] == [2, 3, 3, 5]
    assert Multiply(100)(1e-5) == 1e-3


def test_null_and_values_without_a_pattern_stay() -> None:
    section = {"expected": {"train": None, "test": 50_000}, "kind": "afhq", "storage": "pixels"}
    assert shrink({"data": {"x": section}}) == {
        "data": {"x": {**section, "expected": {"train": None, "test": 40}}}
    }
