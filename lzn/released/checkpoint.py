"""The format of the released files: a state dict per module, and exponential moving averages (EMA) as lists.

An EMA is a list of tensors without names, in the order of the module's trained parameters.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from torch import Tensor

from lzn.base.tensor_files import load_torch_file

ModuleName = Literal["encoder", "decoder", "label_anchor"]
"""Name of a module in the files."""

MODULES: tuple[ModuleName, ...] = get_args(ModuleName)

WANTED = (
    "a dict with the state dicts of encoder, decoder or label_anchor and their averages such as encoder_ema"
)
MAX_KEYS = 6
"""Keys of a file that messages show."""

PREFIX = "model.module."
"""Prefix of every tensor's name in a checkpoint."""

UNUSED = {"sigmas"}
"""Buffers of the released decoders that the method does not use. They are not trained, so not in the EMA lists."""


@dataclass(frozen=True)
class ReleasedCheckpoint:
    """Content of a released file; create it with `ReleasedCheckpoint.read`."""

    path: Path
    content: Mapping[str, Any]

    @staticmethod
    def read(path: Path) -> "ReleasedCheckpoint":
        """Read a file. Tensors are memory-mapped, so unused ones (the optimizer's) are not read.

        Raises:
            FileNotFoundError: there is no file at ``path``.
            ValueError: the file is not a checkpoint, or has objects other than tensors and plain containers; the
                message says what it is.
        """
        content = load_torch_file(path, memory_map=True)
        if not isinstance(content, dict):
            raise ValueError(
                f"{path} holds a {type(content).__name__}, not the dict of a released checkpoint ({WANTED})"
            )
        return ReleasedCheckpoint(path, content)

    def has(self, module: ModuleName) -> bool:
        """Return whether the file has this module with at least one tensor."""
        return self.content.get(module) not in (None, {})

    def tensors(self, module: ModuleName) -> dict[str, Tensor]:
        """Return the tensors of a module by released name, without the common prefix.

        Raises:
            ValueError: the file has no such module.
        """
        state = self.content.get(module)
        if not isinstance(state, dict) or not _are_tensors(state.values()):
            raise ValueError(
                f"not a released checkpoint: {module!r} must be a dict of tensors; {_describe(self.content)}; "
                f"wanted is {WANTED}"
            )
        if state and not any(name.startswith(PREFIX) for name in state):
            first = next(iter(state))
            wrapped = " of a model in DistributedDataParallel" if first.startswith("module.") else ""
            raise ValueError(
                f"not a released checkpoint: the tensors of {module} have names{wrapped} such as {first}, which do not "
                f"begin with {PREFIX}"
            )
        named = {name.removeprefix(PREFIX): tensor for name, tensor in state.items()}
        return {name: tensor for name, tensor in named.items() if name not in UNUSED}

    def ema_tensors(self, module: ModuleName, *, trained: set[str]) -> dict[str, Tensor]:
        """Return the EMA of the module's ``trained`` tensors, by released name.

        Raises:
            ValueError: the file has no EMA of the module, or its EMA has another number of tensors.
        """
        ema = self.content.get(f"{module}_ema")
        shadow = ema.get("shadow_params") if isinstance(ema, dict) else None
        if not isinstance(shadow, list) or not _are_tensors(shadow):
            raise ValueError(f"not a released checkpoint: {module}_ema has no list of tensors, shadow_params")
        in_order = [name for name in self.tensors(module) if name in trained]
        if len(shadow) != len(in_order):
            raise ValueError(f"{module}_ema has {len(shadow)} tensors for {len(in_order)} trained parameters")
        return dict(zip(in_order, shadow, strict=True))


def _describe(content: Mapping[str, Any]) -> str:
    """Return what a checkpoint holds that is not a released one."""
    keys = [str(key) for key in content]
    shown = ", ".join(keys[:MAX_KEYS]) + (", ..." if len(keys) > MAX_KEYS else "")
    if content and _are_tensors(content.values()):
        wrapped = all(key.startswith("module.") for key in keys)
        of_what = "a model in DistributedDataParallel" if wrapped else "one model"
        return f"the file holds the state dict of {of_what} ({len(keys)} tensors: {shown})"
    return f"the file has the keys {shown or 'of an empty dict'}"


def _are_tensors(values: Iterable[object]) -> bool:
    return all(isinstance(value, Tensor) for value in values)
