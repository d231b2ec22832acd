"""Nested mappings as flat ones with dotted names."""

from collections.abc import Callable, Mapping
from typing import Any


def flatten(
    nested: Mapping[str, Any], *, is_leaf: Callable[[Mapping[str, Any]], bool] = lambda _: False
) -> dict[str, Any]:
    """Return the leaves by dotted name: ``{"a": {"b": 1}}`` becomes ``{"a.b": 1}``.

    Args:
        nested: values and further mappings by name. Empty mappings are left out.
        is_leaf: returns whether a mapping inside ``nested`` is a leaf, which is not flattened.
    """
    flat: dict[str, Any] = {}
    for name, value in nested.items():
        if isinstance(value, Mapping) and not is_leaf(value):
            flat |= {f"{name}.{inner}": leaf for inner, leaf in flatten(value, is_leaf=is_leaf).items()}
        else:
            flat[name] = value
    return flat
