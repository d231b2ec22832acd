"""Every number of the paper's tables and claims."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

_FILE = Path(__file__).with_name("numbers.yaml")


@functools.cache
def paper_numbers() -> Mapping[str, Any]:
    """Content of ``numbers.yaml``, where what is missing is null."""
    numbers: Mapping[str, Any] = YAML(typ="safe").load(_FILE)
    return numbers
