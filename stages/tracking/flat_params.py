"""Nested settings as the flat names that MLflow takes: ``training.batch_size``."""

from collections.abc import Mapping
from typing import Any

from stages.tracking import Scalar


def flatten(content: Mapping[str, Any], prefix: str = "") -> dict[str, Scalar]:
    """Values by dotted names; what is no number, string or None becomes its text."""
    flat: dict[str, Scalar] = {}
    for name, value in content.items():
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{prefix}{name}."))
        else:
            flat[prefix + name] = (
                value if value is None or isinstance(value, str | int | float) else str(value)
            )
    return flat
