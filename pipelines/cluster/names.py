"""Names in the parameters of flows: they become folders of workers and arguments of DVC."""

from collections.abc import Iterable

from lzn.base.sections import KEY_RULE, is_key


class NotANameError(ValueError):
    """A size or stage has other characters than the names in parameter files. The message has the rule."""


def require_names(size: str, stages: Iterable[str]) -> None:
    """Check a size, and stages such as ``train`` and ``train@rf``.

    Raises:
        NotANameError: a name has another character, such as ``/``, or is ``..``.
    """
    if not is_key(size):
        raise NotANameError(f"size {size!r} is not a name: use {KEY_RULE}")
    for stage in stages:
        if not all(map(is_key, stage.split("@", maxsplit=1))):
            raise NotANameError(f"stage {stage!r} is not a name: use NAME or NAME@INSTANCE, each {KEY_RULE}")
