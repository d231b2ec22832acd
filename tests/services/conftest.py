"""One stack for all tests here: it takes half a minute to come up."""

from collections.abc import Iterator

import pytest
from lzn_oracles.stack_folders import stack_folder

from infra.stack import Stack


@pytest.fixture(scope="session")
def servers() -> Iterator[Stack]:
    """PostgreSQL, S3, MLflow and Prefect, without workers."""
    with stack_folder() as folder:
        stack = Stack(folder)
        stack.up(workers=0)
        yield stack
