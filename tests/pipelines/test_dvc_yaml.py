import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from stages.runtime.provenance import ROOT, import_closure

STAGES: dict[str, dict[str, Any]] = {
    name: stage.get("do", stage) for name, stage in YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"].items()
}
MODULES = {name: name for name in STAGES} | {"import": "import_run"}  # import is a word of the language
# Code that watches a stage and decides nothing of its outputs; see the comment at the top of dvc.yaml.
WATCHING = ("stages/tracking/", "stages/runtime/signals.py")


def code_deps(stage: dict[str, Any]) -> set[Path]:
    """Python files that a stage names as dependencies, folders taken apart."""
    files: set[Path] = set()
    for dep in stage["deps"]:
        if not dep.startswith("outputs/"):
            path = ROOT / dep
            assert path.exists(), f"{dep} does not exist"
            found = path.rglob("*.py") if path.is_dir() else [path] if path.suffix == ".py" else []
            files.update(file.relative_to(ROOT) for file in found)
    return files


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_depends_on_exactly_the_code_it_imports(name: str) -> None:
    needed = {
        file
        for file in import_closure(f"stages.{MODULES[name]}")
        if not file.as_posix().startswith(WATCHING)
        and file.as_posix() not in ("lzn/__init__.py", "stages/__init__.py")
    }
    assert code_deps(STAGES[name]) == needed


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_runs_the_module_of_its_name_and_writes_into_the_folder_of_its_name(name: str) -> None:
    stage = STAGES[name]
    assert stage["cmd"].startswith(f"python -m stages.{MODULES[name]} ")
    outputs = [*stage.get("outs", []), *stage.get("metrics", []), *stage.get("plots", [])]
    for output in outputs:
        path = output if isinstance(output, str) else next(iter(output))
        folder = "train" if name == "import" else name  # an imported run is used like a trained one
        assert re.match(rf"outputs/\$\{{size\}}/((metrics|plots)/)?{folder}(/|$)", path)


def test_no_stage_imports_another() -> None:
    modules = {Path("stages") / f"{module}.py" for module in MODULES.values()}
    for module in MODULES.values():
        assert import_closure(f"stages.{module}") & modules == {Path("stages") / f"{module}.py"}


def test_all_outputs_are_cached_so_that_another_machine_can_restore_them() -> None:
    assert "cache: false" not in (ROOT / "dvc.yaml").read_text()


@pytest.mark.parametrize("size", sorted(path.name for path in (ROOT / "scales").iterdir()))
def test_every_size_has_a_true_copy_of_the_pipeline(size: str) -> None:
    copy = ROOT / "scales" / size / "dvc.yaml"
    assert copy.read_bytes() == (ROOT / "dvc.yaml").read_bytes(), f"run: cp dvc.yaml scales/{size}/"
