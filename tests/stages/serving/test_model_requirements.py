"""The requirements of the served model are those of the code that the model contains."""

import ast
import sys

from stages.runtime.provenance import PACKAGES, ROOT, import_closure
from stages.serving.saved_model import MODULE, REQUIREMENTS, requirements

DISTRIBUTIONS = {"PIL": "pillow", "ruamel": "ruamel.yaml", "sklearn": "scikit-learn", "starlette": "mlflow"}


def imported_by_the_model() -> set[str]:
    """Names of packages outside of the project and the standard library."""
    found: set[str] = set()
    for file in import_closure(MODULE):
        for node in ast.walk(ast.parse((ROOT / file).read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module is not None:
                found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - set(PACKAGES)


def test_requirements_are_exactly_the_imported_distributions() -> None:
    assert {DISTRIBUTIONS.get(name, name) for name in imported_by_the_model()} == set(REQUIREMENTS)


def test_requirements_are_pins_without_local_versions() -> None:
    for requirement in requirements():
        name, _, version = requirement.partition("==")
        assert name in REQUIREMENTS
        assert version
        assert "+" not in version
