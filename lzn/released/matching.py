"""Comparison of a checkpoint's tensors with those of our modules: layout, names and shapes."""

from collections.abc import Iterator, Mapping

from torch import Tensor

from lzn.released.checkpoint import MODULES, ModuleName, ReleasedCheckpoint
from lzn.released.run_modules import RunModules, tensors_by_released_name

MAX_LISTED = 6
"""Number of names in an error message before "and n more"."""


def to_our_layout(released: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return released tensors, transposed where their layout differs from ours.

    Attention projections ``W`` are stored as (in, out). Label anchors are stored as (c, q), like ours, or as (q, c);
    square ones are read as (c, q).
    """
    return {name: _transposed_if_needed(name, tensor, expected) for name, tensor in released.items()}


def _transposed_if_needed(name: str, tensor: Tensor, expected: Mapping[str, Tensor]) -> Tensor:
    if tensor.ndim != 2:
        return tensor
    anchors_are_columns = name == "anchor" and name in expected and tensor.shape == expected[name].shape[::-1]
    is_transposed = name.endswith(".W") or (anchors_are_columns and tensor.shape != expected[name].shape)
    return tensor.T if is_transposed else tensor


def mismatches(checkpoint: ReleasedCheckpoint, modules: RunModules) -> list[str]:
    """Describe how the checkpoint's tensors differ from those of ``modules``; empty if they match."""
    return [f"{name}: {problem}" for name in MODULES for problem in _problems(checkpoint, modules, name)]


def _problems(checkpoint: ReleasedCheckpoint, modules: RunModules, name: ModuleName) -> Iterator[str]:
    module = modules[name]
    if module is None:
        if checkpoint.has(name):
            yield "is in the checkpoint, but not in a run of these settings"
    elif not checkpoint.has(name):
        yield f"is not in the checkpoint, which has {', '.join(map(str, checkpoint.content)) or 'nothing'}"
    else:
        expected = tensors_by_released_name(module)
        yield from tensor_problems(to_our_layout(checkpoint.tensors(name), expected), expected)


def tensor_problems(given: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> Iterator[str]:
    """Describe missing tensors, unexpected tensors and wrong shapes, one text for each kind that occurs."""
    problems = {
        "missing": [name for name in expected if name not in given],
        "unexpected": [name for name in given if name not in expected],
        "wrong shape": [
            f"{name} {tuple(given[name].shape)} instead of {tuple(tensor.shape)}"
            for name, tensor in expected.items()
            if name in given and given[name].shape != tensor.shape
        ],
    }
    yield from (f"{kind}: {_listed(names)}" for kind, names in problems.items() if names)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
    return ", ".join(names[:MAX_LISTED]) + more
