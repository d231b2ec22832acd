"""CIFAR's pickles, read without running anything that a pickle may name.

A pickle is a program. This reader knows three of the names that such a program can call, those that NumPy arrays
consist of, and gives them meanings of its own, which store bytes; every other name is refused.
"""

import io
import pickle
from typing import Any

import numpy as np
from numpy.typing import NDArray

# What a damaged or foreign pickle can raise, by the documentation of `pickle.Unpickler.load` and its opcodes.
_DAMAGE = (
    pickle.UnpicklingError,
    AttributeError,
    EOFError,
    IndexError,
    KeyError,
    OverflowError,
    TypeError,
    ValueError,
    MemoryError,
)


def load_pickled_arrays(content: bytes, *, title: str) -> dict[str, object]:
    """Read a pickled dictionary of lists, numbers, strings and uint8 arrays, as Python 2 and 3 write it.

    Raises:
        ValueError: it is damaged, or it names anything beside the parts of an array.
    """
    try:
        loaded = _ArrayUnpickler(io.BytesIO(content), encoding="latin1").load()
        if not isinstance(loaded, dict):
            raise ValueError(f"it holds a {type(loaded).__name__}, not a dictionary")
        return {_as_text(key): _as_array(value) for key, value in loaded.items()}
    except _DAMAGE as error:
        raise ValueError(f"{title} cannot be read as a pickle of arrays: {error}") from error


class _PickledType:
    """Stands for ``numpy.dtype``: the element type's code, such as ``u1``."""

    def __init__(self, code: str | bytes, *_flags: object) -> None:
        self.code = _as_text(code)

    def __setstate__(self, _state: object) -> None:
        """Byte order and alignment do not matter for single bytes."""


class _PickledArray:
    """Stands for an array: its shape and its bytes."""

    def __init__(self, *_arguments: object) -> None:
        self.state: tuple[Any, ...] = ()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.state = state

    def restore(self) -> NDArray[np.uint8]:
        _version, shape, kind, is_fortran, values = self.state
        if not isinstance(kind, _PickledType) or kind.code != "u1" or is_fortran:
            raise ValueError("arrays must be uint8 in C order")
        content = values.encode("latin1") if isinstance(values, str) else values
        return np.frombuffer(content, dtype=np.uint8).reshape(shape)


_KNOWN_NAMES: dict[tuple[str, str], type] = {
    ("numpy.core.multiarray", "_reconstruct"): _PickledArray,
    ("numpy._core.multiarray", "_reconstruct"): _PickledArray,
    ("numpy", "ndarray"): _PickledArray,
    ("numpy", "dtype"): _PickledType,
}


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str, /) -> type:
        known = _KNOWN_NAMES.get((module_name, global_name))
        if known is None:
            raise pickle.UnpicklingError(
                f"it names {module_name}.{global_name}, which no array needs; refused"
            )
        return known


def _as_text(value: object) -> str:
    return value.decode("latin1") if isinstance(value, bytes) else str(value)


def _as_array(value: object) -> object:
    return value.restore() if isinstance(value, _PickledArray) else value
