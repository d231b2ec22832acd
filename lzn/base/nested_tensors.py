"""Nested dictionaries, dataclasses, tuples and lists of tensors, such as the batches of a training."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from torch import Tensor

Nested = TypeVar("Nested")


def map_tensors(function: Callable[[Tensor], Tensor], nested: Nested) -> Nested:
    """Return a copy of ``nested`` with ``function`` of each tensor; other values are the same objects."""
    mapped: Any = nested
    if isinstance(nested, Tensor):
        mapped = function(nested)
    elif isinstance(nested, Mapping):
        mapped = {name: map_tensors(function, value) for name, value in nested.items()}
    elif isinstance(nested, tuple | list):
        values = [map_tensors(function, value) for value in nested]
        mapped = type(nested)(*values) if hasattr(nested, "_fields") else type(nested)(values)
    elif is_dataclass(nested) and not isinstance(nested, type):
        mapped = replace(nested, **{name: map_tensors(function, value) for name, value in _items(nested)})
    return mapped  # type: ignore[no-any-return]


def named_tensors(nested: object, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors with their dotted names."""
    if isinstance(nested, Tensor):
        yield name, nested
        return
    items: Iterator[tuple[Any, Any]] = iter(())
    if isinstance(nested, Mapping):
        items = iter(nested.items())
    elif isinstance(nested, tuple | list):
        items = iter(enumerate(nested))
    elif is_dataclass(nested) and not isinstance(nested, type):
        items = _items(nested)
    for key, value in items:
        yield from named_tensors(value, f"{name}.{key}" if name else str(key))


def _items(instance: Any) -> Iterator[tuple[str, Any]]:
    return ((field.name, getattr(instance, field.name)) for field in fields(instance) if field.init)
