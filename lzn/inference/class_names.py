"""Classes by name or index, as users give them and as answers and file names show them. Needs no torch."""

import re
from collections.abc import Sequence

from lzn.inference.errors import UserError

_MAX_LISTED = 20


def class_name(names: Sequence[str], label: int) -> str:
    """Return the name of a class; its index if the run has no names."""
    return names[label] if names else str(label)


def class_index(given: str | int, names: Sequence[str], *, num_classes: int, run: str) -> int:
    """Return the index of the class that a user names.

    A name wins over an index: with the classes ``1``, ``2``, ``3``, the class ``1`` has index 0. If no name is equal,
    upper and lower case are ignored.

    Args:
        given: a name or an index.
        names: the names of the run's classes; empty without names.
        num_classes: number of classes.
        run: the run's name, for messages.

    Raises:
        UserError: several classes have this name, or no class has this name or index.
    """
    text = str(given).strip()
    for matches in (
        [label for label, name in enumerate(names) if name == text],
        [label for label, name in enumerate(names) if name.casefold() == text.casefold()],
    ):
        if len(matches) > 1:
            found = ", ".join(f"{label} ({names[label]})" for label in matches)
            raise UserError(f"class {text!r} is ambiguous in run {run}: give the index, one of {found}")
        if matches:
            return matches[0]
    if re.fullmatch(r"[0-9]+", text) and int(text) < num_classes:
        return int(text)
    raise UserError(f"class {text}: run {run} has {describe_classes(names, num_classes)}")


def describe_classes(names: Sequence[str], num_classes: int) -> str:
    """Return the classes of a run in words."""
    if not names or list(names) == [str(label) for label in range(num_classes)]:
        return f"the classes 0 to {num_classes - 1}"
    listed = [f"{label} {name}" for label, name in enumerate(names[:_MAX_LISTED])]
    rest = len(names) - len(listed)
    more = f", and {rest} more" if rest else ""
    return f"the classes {', '.join(listed)}{more} (index and name)"


def file_names(names: Sequence[str], num_classes: int) -> list[str]:
    """Return for each class a different text that is safe in file names: its name, with the index where needed."""
    safe = [re.sub(r"[^\w.+-]+", "_", class_name(names, label)).strip("_.") for label in range(num_classes)]
    folded = [name.casefold() for name in safe]
    return [
        name if name and folded.count(name.casefold()) == 1 else f"{label}_{name}".rstrip("_")
        for label, name in enumerate(safe)
    ]
