"""What pyproject.toml asks for: everything is pinned, and the version is the same everywhere."""

import re
import tomllib
from typing import Any

import pytest
from lzn_testing import PROJECT
from lzn_testing.projects.bare_environment import needed_distributions
from packaging.utils import canonicalize_name

import lzn

PYPROJECT: dict[str, Any] = tomllib.loads((PROJECT / "pyproject.toml").read_text())
NAME = PYPROJECT["project"]["name"]


INSTALLED_GROUPS = ("dev", "clients", "containers")
"""The dependency groups that ``make`` installs before it runs any task."""


def names_of(requirements: list[Any]) -> set[str]:
    """Return the names of requirements, without the project itself and without included groups."""
    texts = [each for each in requirements if isinstance(each, str)]
    return {re.split(r"[\[<>=~!;, ]", text)[0] for text in texts} - {NAME}


def pinned() -> set[str]:
    lines = (PROJECT / "constraints.txt").read_text().splitlines()
    return {canonicalize_name(line.partition("==")[0]) for line in lines if "==" in line and line[0] != "#"}


def test_everything_that_make_installs_is_pinned() -> None:
    project, groups = PYPROJECT["project"], PYPROJECT["dependency-groups"]
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    lists += [groups[name] for name in INSTALLED_GROUPS]
    requirements = [each for names in lists for each in names if isinstance(each, str) and NAME not in each]
    assert not set(needed_distributions(requirements)) - pinned()


def test_packages_that_a_task_installs_are_pinned() -> None:
    for name, requirements in PYPROJECT["dependency-groups"].items():
        assert not {canonicalize_name(each) for each in names_of(requirements)} - pinned(), name


def test_the_extras_of_the_pipeline_and_of_the_cluster_contain_the_others() -> None:
    extras = PYPROJECT["project"]["optional-dependencies"]
    assert f"{NAME}[images,metrics,released]" in extras["pipeline"]
    assert f"{NAME}[pipeline]" in extras["cluster"]
    assert "--editable '.[cluster]'" in (PROJECT / "Makefile").read_text()


def test_the_version_is_that_of_the_citation_and_of_the_image() -> None:
    assert f"version: {lzn.__version__}\n" in (PROJECT / "CITATION.cff").read_text()
    dockerfile = (PROJECT / "infra" / "Dockerfile").read_text()
    assert re.findall(r'image\.version="(.*?)"', dockerfile) == [lzn.__version__]


def test_an_unknown_attribute_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module lzn has no attribute 'flows'"):
        lzn.flows  # noqa: B018
