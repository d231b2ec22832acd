"""Blocks of settings in params.yaml that several runs share, and their merge into a run."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lzn.base.sections import ParamsError, ParamsFile, validate

BLOCKS = {"network": "networks", "latents": "latents", "schedule": "schedules"}
"""Sections of params.yaml with blocks, keyed by the key with which a run names a block."""


def read_section_of_run(params: ParamsFile, key: str, section_type: Any, *, run_key: str = "") -> Any:
    """Return the section at ``key`` as ``section_type``, its run merged with the blocks that the run names.

    Args:
        params: the parameter file.
        key: dotted key of the section, such as ``runs.rf``.
        section_type: the type of the section.
        run_key: key of the run in the section; empty if the section is the run.

    Raises:
        ParamsError: the section or a block is missing, or a value is invalid; the message names the key in the file.
    """
    content, origins = merge_blocks(params, key, run_key=run_key)
    where = f"{params.path}: {key}"
    return validate(content, section_type, where=where, key_in_file=KeyInFile(params.path, origins))


@dataclass(frozen=True)
class KeyInFile:
    """Convert a dotted key of a merged run to the key in the file; ``origins`` has those of values from blocks."""

    path: Path
    origins: Mapping[str, str]

    def __call__(self, message_key: str) -> str:
        """Return the key for messages, with the file."""
        prefix = f"{self.path}: "
        key = message_key.removeprefix(prefix)
        for merged in sorted(self.origins, key=len, reverse=True):
            if key == merged or key.startswith(f"{merged}."):
                return prefix + self.origins[merged] + key[len(merged) :]
        return message_key


def merge_blocks(params: ParamsFile, key: str, *, run_key: str = "") -> tuple[Any, dict[str, str]]:
    """Return a section whose run has the keys of its blocks, and the keys in the file of all values from blocks.

    A block of ``schedules`` is merged into the run's ``training``, the others into the run itself. Mappings are merged
    key by key; the value of the run replaces the value of a block. A section that is no mapping does not change.

    Args:
        params: the parameter file.
        key: dotted key of the section.
        run_key: key of the run in the section; empty if the section is the run.

    Raises:
        ParamsError: the section or a block is missing.
    """
    section = params.value(key)
    run = section.get(run_key) if run_key and isinstance(section, Mapping) else section
    if not isinstance(run, Mapping):
        return section, {}
    where = f"{key}.{run_key}" if run_key else key
    merged: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for name, blocks in BLOCKS.items():
        if name in run:
            block, inner = (
                _block(params, f"{where}.{name}", run[name]),
                "training." if name == "schedule" else "",
            )
            origins |= {f"{where}.{inner}{path}": f"{blocks}.{run[name]}.{path}" for path in _paths(block)}
            merged = _merged(merged, {"training": block} if inner else block)
    own = {name: value for name, value in run.items() if name not in BLOCKS}
    for path in _paths(own):
        origins.pop(f"{where}.{path}", None)
    merged = _merged(merged, own)
    return ({**section, run_key: merged} if run_key else merged), origins


def _block(params: ParamsFile, where: str, name: Any) -> Mapping[str, Any]:
    section = BLOCKS[where.rpartition(".")[2]]
    blocks = params.content.get(section)
    block = blocks.get(name) if isinstance(blocks, Mapping) and isinstance(name, str) else None
    if not isinstance(block, Mapping):
        there = ", ".join(map(str, blocks)) if isinstance(blocks, Mapping) else "nothing"
        raise ParamsError(f"{params.path}: {where} is {name!r}; {section} has: {there}")
    return block


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = (
            _merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
        )
    return merged


def _paths(content: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Return the dotted keys of a mapping and of the mappings in it."""
    paths = []
    for key, value in content.items():
        paths.append(f"{prefix}{key}")
        if isinstance(value, Mapping):
            paths += _paths(value, f"{prefix}{key}.")
    return paths
