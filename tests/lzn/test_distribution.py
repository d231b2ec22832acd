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


def all_requirements() -> list[str]:
    """Return the dependencies, those of all extras, and all dependency groups."""
    extras = PYPROJECT["project"]["optional-dependencies"].values()
    groups = PYPROJECT["dependency-groups"].values()
    lists = [PYPROJECT["project"]["dependencies"], *extras, *groups]
    return [each for names in lists for each in names if isinstance(each, str) and NAME not in each]


def test_everything_that_make_installs_is_pinned() -> None:
    lines = (PROJECT / "constraints.txt").read_text().splitlines()
    pinned = {canonicalize_name(line.partition("==")[0]) for line in lines if "==" in line and line[0] != "#"}
    assert not set(needed_distributions(all_requirements())) - pinned


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
