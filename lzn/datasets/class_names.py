"""Names of classes that are folders: their order, which defines the labels, and ImageNet's names."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
# The first and the last WordNet id of ILSVRC 2012, whose names are in the file in the order of the ids. The names
# are those of torchvision's classifiers (`ResNet50_Weights.DEFAULT.meta["categories"]`).
_FIRST_AND_LAST = ("n01440764", "n15075141")
_IMAGENET_CLASSES = Path(__file__).with_name("imagenet_classes.txt")


def in_order(names: Iterable[str]) -> list[str]:
    """Sort names: numbers by their value (``2`` before ``10``), then all other names as text."""
    return sorted(
        names, key=lambda name: (0, float(name), name) if _NUMBER.fullmatch(name) else (1, 0.0, name)
    )


def imagenet_names(wnids: Sequence[str], words: Mapping[str, str]) -> tuple[str, ...]:
    """Return a name for each class of ImageNet.

    Args:
        wnids: WordNet ids of the classes, sorted.
        words: names by WordNet id from the development kit; empty without it.

    Returns:
        torchvision's names for the 1000 classes; else the first of the words, or without words the WordNet ids.
    """
    if len(wnids) == 1000 and (wnids[0], wnids[-1]) == _FIRST_AND_LAST:
        return tuple(_IMAGENET_CLASSES.read_text(encoding="utf-8").splitlines())
    return tuple(words.get(wnid, wnid).partition(",")[0] for wnid in wnids)
