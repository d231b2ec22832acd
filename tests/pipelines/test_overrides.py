"""`dvc exp run -S KEY=VALUE` reaches every key of every parameter file, and a stage that depends on the key."""

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from dvc.repo import Repo
from dvc.utils.hydra import apply_overrides
from lzn_testing import PROJECT

from lzn.base.sections import read_yaml
from pipelines.dry import temporary_project

FILES = [PROJECT / "params.yaml", *sorted((PROJECT / "sizes").glob("*.yaml"))]
NO_RESULT_DEPENDS_ON = ("hardware.num_workers", "hardware.seeds_at_once", "resources")


def leaves(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each key that has no keys below it, as a dotted path, with its value."""
    for name, value in content.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def other_value(value: Any) -> Any:
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str():
            return f"{value}_2"
        case list():
            return [*value, 1]
        case _:
            return 7


def is_below(key: str, prefixes: Iterator[str] | list[str] | tuple[str, ...]) -> bool:
    return any(key == prefix or key.startswith(f"{prefix}.") for prefix in prefixes)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_each_key_can_be_set_to_another_value(file: Path, tmp_path: Path) -> None:
    wanted = {key: other_value(value) for key, value in leaves(read_yaml(file))}
    copy = Path(shutil.copy(file, tmp_path))
    apply_overrides(copy, [f"{key}={json.dumps(value)}" for key, value in wanted.items()])
    found = read_yaml(copy)
    for key, value in wanted.items():
        place: Any = found
        for name in key.split("."):
            place = place[name]
        assert place == value, key


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_each_key_that_decides_results_is_a_parameter_of_a_stage(file: Path) -> None:
    with temporary_project(file, PROJECT) as folder, Repo(str(folder)) as repo:
        listed = [dep.params for stage in repo.index.stages for dep in stage.deps if hasattr(dep, "params")]
    parameters = [key for keys in listed for key in keys]
    content = read_yaml(file)
    unused = [
        key
        for key, value in leaves(content)
        if value != {} and not is_below(key, parameters) and not is_below(key, NO_RESULT_DEPENDS_ON)
    ]
    assert unused == []
