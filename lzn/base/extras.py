"""Imports of packages that only an extra of the distribution installs (``optional-dependencies`` in pyproject.toml)."""

from collections.abc import Iterator
from contextlib import contextmanager

DISTRIBUTION = "latent-zoning-network"


@contextmanager
def from_extra(extra: str) -> Iterator[None]:
    """Import packages of an extra inside the block.

    Raises:
        ModuleNotFoundError: a package is missing; the message names the package and the extra.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        message = f"{error.name} is not installed: install {DISTRIBUTION} with its extra [{extra}]"
        raise ModuleNotFoundError(message, name=error.name) from error
