"""Each stage of dvc.yaml depends on the code that it imports, and writes to the folder of its name."""

import functools
import re
from pathlib import Path
from typing import Any

import pytest
from lzn_testing import PROJECT
from ruamel.yaml import YAML

from stages.runtime.provenance import METHOD, import_closure

closure = functools.cache(import_closure)
STAGES: dict[str, dict[str, Any]] = {
    name: stage.get("do", stage)
    for name, stage in YAML(typ="safe").load(PROJECT / "dvc.yaml")["stages"].items()
}
MODULES = {name: name for name in STAGES} | {"import": "import_run"}  # import is a keyword of Python
TRAINED = "outputs/${size}/train/${key}"
# They start and watch stages, and store models, and do not influence results; see the comment at the top of dvc.yaml.
NO_DEPENDENCY = ("stages/runtime", "stages/tracking", "stages/serving")
# Package docstrings, imports on first use, and a setting of OpenMP's waiting threads, which does not influence results.
MAPS = ("stages/__init__.py", "stages/reporting/__init__.py", "lzn/__init__.py")
READS_TRAINED = ("outputs/${size}/train/${key}", "outputs/${item}/train", "outputs/${item}/metrics")


def code_deps(name: str) -> list[str]:
    """Folders and files of code that a stage names as dependencies."""
    return [dep for dep in STAGES[name]["deps"] if not dep.startswith("outputs/")]


def is_in(file: Path, folders: list[str] | tuple[str, ...]) -> bool:
    return any(file.as_posix() == folder or file.as_posix().startswith(f"{folder}/") for folder in folders)


def needed_code(name: str) -> set[Path]:
    """Return files that influence what a stage writes and that it must list itself."""
    files = closure(f"stages.{MODULES[name]}", without=NO_DEPENDENCY)
    reads_trained = any(dep in READS_TRAINED for dep in STAGES[name]["deps"])
    return {
        file
        for file in files
        if not file.as_posix().startswith(MAPS) and not (reads_trained and is_in(file, METHOD))
    }


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_depends_on_all_code_that_it_imports_or_on_a_trained_run_that_carries_its_hash(
    name: str,
) -> None:
    assert not {file for file in needed_code(name) if not is_in(file, code_deps(name))}


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_depends_on_no_code_that_it_does_not_import(name: str) -> None:
    for dep in code_deps(name):
        assert (PROJECT / dep).exists()
        assert any(is_in(file, [dep]) for file in needed_code(name)), dep


@pytest.mark.parametrize("name", ["train", "import"])
def test_stages_that_write_the_hash_of_the_method_depend_on_all_of_it(name: str) -> None:
    assert set(METHOD) <= set(code_deps(name))


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_runs_the_module_of_its_name_and_writes_into_the_folder_of_its_name(name: str) -> None:
    stage = STAGES[name]
    assert stage["cmd"].split()[:3] == ["python", "-m", f"stages.{MODULES[name]}"]
    outputs = [*stage.get("outs", []), *stage.get("metrics", []), *stage.get("plots", [])]
    for output in outputs:
        path = output if isinstance(output, str) else next(iter(output))
        folder = "train" if name == "import" else name  # an imported run is used like a trained one
        if name == "results":
            assert re.fullmatch(r"results/((metrics|plots/\w+)/)?\$\{item\}(\.json|\.csv)?", path)
        else:
            assert re.match(rf"outputs/\$\{{(size|item)\}}/((metrics|plots)/)?{folder}(/|$)", path)


def test_no_stage_imports_another() -> None:
    modules = {Path("stages") / f"{module}.py" for module in MODULES.values()}
    for module in MODULES.values():
        assert closure(f"stages.{module}") & modules == {Path("stages") / f"{module}.py"}


@pytest.mark.parametrize("name", sorted(STAGES.keys() - {"results"}))
def test_outputs_are_cached_so_that_another_machine_can_restore_them(name: str) -> None:
    assert all(isinstance(output, str) for output in STAGES[name]["outs"])
