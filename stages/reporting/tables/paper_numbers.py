"""The numbers of the paper's tables, figures and claims."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

_FILE = Path(__file__).with_suffix(".yaml")


@functools.cache
def paper_numbers() -> Mapping[str, Any]:
    """Read ``paper_numbers.yaml``; null is a number that the paper does not report."""
    numbers: Mapping[str, Any] = YAML(typ="safe").load(_FILE)
    return numbers


def paper_table(name: str) -> tuple[list[str], dict[str, Any]]:
    """Return the columns of a table of the paper, and its rows by method or data set."""
    rows = dict(paper_numbers()[name])
    return rows.pop("columns"), rows
