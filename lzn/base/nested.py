"""Nested mappings as flat ones with dotted names."""

from collections.abc import Callable, Mapping
from typing import Any


def flatten(
    nested: Mapping[str, Any], *, is_value: Callable[[Mapping[str, Any]], bool] = lambda _: False
) -> dict[str, Any]:
    """Return the innermost values by dotted names: ``{"a": {"b": 1}}`` becomes ``{"a.b": 1}``.

    Args:
        nested: values and further mappings by name. An empty mapping leaves nothing.
        is_value: whether a mapping inside ``nested`` is a value itself and stays as it is.
    """
    flat: dict[str, Any] = {}
    for name, value in nested.items():
        if isinstance(value, Mapping) and not is_value(value):
            flat |= {f"{name}.{inner}": found for inner, found in flatten(value, is_value=is_value).items()}
        else:
            flat[name] = value
    return flat
