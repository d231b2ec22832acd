"""Typed, frozen sections of params.yaml. Errors name the path of the key and what is allowed there."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, StringConstraints, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from lzn.base.extras import from_extra

KEY_PATTERN = r"^[A-Za-z][A-Za-z0-9_-]*$"
KEY_RULE = "a letter, then letters, digits, _ or -"
Key = Annotated[str, StringConstraints(pattern=KEY_PATTERN)]
"""Name of a size, data set, run or block. It names folders, stages of DVC and arguments, so other characters are
refused: ``my.photos`` and ``photos@2x`` have a meaning in DVC, ``-x`` is an option, ``..`` is another folder."""


class ParamsError(ValueError):
    """An invalid parameter file. The message names the file, the key and what is allowed."""


class Section(BaseModel):
    """A part of params.yaml. It is frozen, does not convert types, and refuses unknown keys."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


def read_yaml(file: Path) -> dict[str, Any]:
    """Read a parameter file as YAML 1.2, like DVC.

    Raises:
        ParamsError: the file is missing or cannot be read, is not YAML, or is not a mapping.
    """
    with from_extra("pipeline"):
        from ruamel.yaml import YAML  # noqa: PLC0415 - the command lzn reads no YAML
        from ruamel.yaml.error import YAMLError  # noqa: PLC0415
    try:
        content = YAML(typ="safe").load(file.read_bytes().decode("utf-8"))
    except FileNotFoundError as error:
        raise ParamsError(f"{file}: no such parameter file") from error
    except OSError as error:
        raise ParamsError(f"{file}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ParamsError(
            f"{file}: not valid YAML: it is not UTF-8, which DVC needs ({error.reason} at byte {error.start}); save it "
            "as UTF-8"
        ) from error
    except YAMLError as error:
        raise ParamsError(f"{file}: not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise ParamsError(f"{file}: must be a mapping of sections")
    return content


@dataclass(frozen=True)
class ParamsFile:
    """The content of a parameter file, and its path for error messages."""

    path: Path
    content: Mapping[str, Any]

    @staticmethod
    def read(path: Path) -> "ParamsFile":
        """Read a parameter file.

        Raises:
            ParamsError: as `read_yaml`.
        """
        return ParamsFile(path, read_yaml(path))

    def value(self, key: str) -> Any:
        """Return the value at a dotted key such as ``runs.rf``.

        Raises:
            ParamsError: the key is missing.
        """
        value: Any = self.content
        names = key.split(".")
        for depth, name in enumerate(names):
            if not isinstance(value, Mapping) or name not in value:
                where = ".".join(names[:depth]) or "the file"
                have = ", ".join(map(str, value)) if isinstance(value, Mapping) else repr(value)
                raise ParamsError(f"{self.path}: {key} is missing; {where} has: {have}")
            value = value[name]
        return value

    def section(self, key: str, section_type: Any) -> Any:
        """Return the value at a dotted key as ``section_type`` (a type or a union of types).

        Raises:
            ParamsError: the key is missing, or its value is not a valid ``section_type``.
        """
        return validate(self.value(key), section_type, where=f"{self.path}: {key}")


def is_key(name: object) -> bool:
    """Return whether ``name`` follows the rule of `Key`."""
    return isinstance(name, str) and re.fullmatch(KEY_PATTERN.strip("^$"), name) is not None


def validate(
    value: Any, section_type: Any, *, where: str, key_in_file: Callable[[str], str] = lambda key: key
) -> Any:
    """Convert ``value``, which was read from YAML or JSON, to ``section_type``.

    Args:
        value: plain mappings, lists, numbers and strings.
        section_type: a type or a union of types.
        where: name of the place of ``value`` in messages.
        key_in_file: returns the name of a key in messages; needed if ``value`` was merged from several places.

    Raises:
        ParamsError: ``value`` is not valid; the message has one line per problem.
    """
    try:
        # In JSON, strict mode accepts a list as a tuple; a date becomes a string.
        return TypeAdapter(section_type).validate_json(json.dumps(value, default=str))
    except ValidationError as error:
        lines = [_describe(problem, value, section_type, where, key_in_file) for problem in error.errors()]
        raise ParamsError("\n".join(lines)) from error


def _describe(
    problem: Any, value: Any, section_type: Any, where: str, key_in_file: Callable[[str], str]
) -> str:
    tags_and_keys = problem["loc"]
    keys = _keys_only(tags_and_keys, value, missing=problem["type"] == "missing")
    separator = "" if not keys or where.endswith(": ") else "."
    path = key_in_file((where + separator + ".".join(keys)).removesuffix(": "))
    if problem["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        allowed = _keys_of(_type_at(section_type, tags_and_keys[:-1]))
        return f"{path}: unknown key; allowed here: {', '.join(allowed)}"
    if problem["type"] == "union_tag_not_found":
        union = _type_at(section_type, tags_and_keys)
        tag_key = problem["ctx"]["discriminator"].strip("'")
        allowed = sorted(tag for member in get_args(union) for tag in _tags(member, tag_key))
        return f"{path}.{tag_key}: Field required, one of {', '.join(allowed)}"
    message = problem["msg"].removeprefix("Value error, ")
    given = problem["input"]
    shown = "" if isinstance(given, dict | list) else f" (got {given!r})"
    return f"{path}: {message}{shown}"


def _type_at(section_type: Any, location: tuple[int | str, ...], tag_key: str = "") -> Any:
    """Return the type at a pydantic location. The location contains tags of unions, the values of ``tag_key``."""
    origin = get_origin(section_type)
    if origin is Annotated:
        inner, *metadata = get_args(section_type)
        keys = [str(field.discriminator) for field in metadata if isinstance(field, FieldInfo)]
        return _type_at(inner, location, *keys[:1])
    if origin in (Union, UnionType):
        members = [member for member in get_args(section_type) if member is not type(None)]
        if len(members) == 1:
            return _type_at(members[0], location)
        if location:
            chosen = next(member for member in members if location[0] in _tags(member, tag_key))
            return _type_at(chosen, location[1:])
    if not location:
        return section_type
    if origin in (dict, Mapping):
        return _type_at(get_args(section_type)[1], location[1:])
    return _type_at(get_type_hints(section_type, include_extras=True)[str(location[0])], location[1:])


def _keys_of(section_type: Any) -> list[str]:
    return sorted(get_type_hints(section_type).keys() - _CLASS_ATTRIBUTES)


_CLASS_ATTRIBUTES = get_type_hints(BaseModel).keys() | {"model_config", "__pydantic_config__"}


def _tags(section_type: Any, tag_key: str) -> set[str]:
    """Return the tags of a member of a union: the values of its literal field ``tag_key``."""
    return set(get_args(get_type_hints(section_type)[tag_key]))


def _keys_only(location: tuple[int | str, ...], value: Any, *, missing: bool) -> list[str]:
    """Return the keys in a pydantic location, without the tags of unions."""
    keys = []
    for position, part in enumerate(location):
        is_key = isinstance(value, dict) and part in value
        is_index = isinstance(value, list) and isinstance(part, int) and part < len(value)
        if is_key or is_index:
            value = value[part]
        elif not (missing and position == len(location) - 1):
            continue
        keys.append(str(part))
    return keys
