"""Read CIFAR's pickles without running the functions that a pickle names.

A pickle is a program that can call any function by name. This reader accepts only the names that NumPy arrays need,
replaces them by classes that store bytes, and raises an error for every other name.
"""

import io
import pickle
from typing import Any

import numpy as np
from numpy.typing import NDArray

# The errors for a damaged or foreign pickle, by the documentation of `pickle.Unpickler.load` and its opcodes.
_UNPICKLING_ERRORS = (
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
    """Read a pickled dictionary of lists, numbers, strings and uint8 arrays, written by Python 2 or 3.

    Raises:
        ValueError: the pickle is damaged, or names something else than the parts of an array.
    """
    try:
        loaded = _ArrayUnpickler(io.BytesIO(content), encoding="latin1").load()
        if not isinstance(loaded, dict):
            raise ValueError(f"it contains a {type(loaded).__name__} and not a dictionary")
        return {_as_text(key): _as_array(value) for key, value in loaded.items()}
    except _UNPICKLING_ERRORS as error:
        raise ValueError(f"{title} cannot be read as a pickle of arrays: {error}") from error


class _PickledType:
    """Replaces ``numpy.dtype``; holds the code of the element type, such as ``u1``."""

    def __init__(self, code: str | bytes, *_flags: object) -> None:
        self.code = _as_text(code)

    def __setstate__(self, _state: object) -> None:
        """Ignore byte order and alignment, which do not matter for single bytes."""


class _PickledArray:
    """Replaces an array; holds its shape and its bytes."""

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
                f"it names {module_name}.{global_name}, which is not allowed because arrays do not need it"
            )
        return known


def _as_text(value: object) -> str:
    return value.decode("latin1") if isinstance(value, bytes) else str(value)


def _as_array(value: object) -> object:
    return value.restore() if isinstance(value, _PickledArray) else value
