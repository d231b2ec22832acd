"""ImageNet's development kit, which holds the class of each validation image."""

import io
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lzn.base.extras import from_extra
from lzn.datasets.tar_archive import read_gzipped_members

_FOLDER = "ILSVRC2012_devkit_t12/data"
_SYNSETS = f"{_FOLDER}/meta.mat"
_GROUND_TRUTH = f"{_FOLDER}/ILSVRC2012_validation_ground_truth.txt"


@dataclass(frozen=True)
class Devkit:
    """The content of the kit that is used here.

    Attributes:
        wnids: sorted WordNet ids of the classes.
        validation_wnids: WordNet id of each validation image, in the order of their file names.
        words: names of each class by its WordNet id, separated by commas.
    """

    wnids: tuple[str, ...]
    validation_wnids: tuple[str, ...]
    words: Mapping[str, str]


def read_devkit(archive: Path) -> Devkit:
    """Read ``ILSVRC2012_devkit_t12.tar.gz``.

    Raises:
        ValueError: the archive is damaged, or is not the kit.
        OSError: the file cannot be read.
    """
    contents = read_gzipped_members(archive, (_SYNSETS, _GROUND_TRUTH))
    absent = [name for name in (_SYNSETS, _GROUND_TRUTH) if name not in contents]
    if absent:
        raise ValueError(
            f"{archive} is not ImageNet's development kit: it does not contain {', '.join(absent)}"
        )
    synsets = _read_synsets(contents[_SYNSETS], archive)
    wnids = {number: synset.wnid for number, synset in synsets.items()}
    try:
        labels = [int(line) for line in contents[_GROUND_TRUTH].decode("ascii").split()]
        validation_wnids = tuple(wnids[label] for label in labels)
    except (ValueError, KeyError) as error:
        raise ValueError(f"{archive}: {_GROUND_TRUTH} has a line that is not a class: {error}") from error
    words = {synset.wnid: synset.words for synset in synsets.values()}
    return Devkit(tuple(sorted(wnids.values())), validation_wnids, words)


@dataclass(frozen=True)
class _Synset:
    wnid: str
    words: str


def _read_synsets(content: bytes, archive: Path) -> dict[int, _Synset]:
    """Return each class by its ILSVRC2012 number, without groups of classes (with children)."""
    with from_extra("images"):
        import scipy.io  # noqa: PLC0415 - only ImageNet needs it

    # The errors of SciPy for damaged files and files of another format.
    mat_errors = (scipy.io.matlab.MatReadError, zlib.error, ValueError, TypeError, NotImplementedError)
    try:
        synsets = np.atleast_1d(scipy.io.loadmat(io.BytesIO(content), squeeze_me=True)["synsets"])
        return {
            int(synset["ILSVRC2012_ID"]): _Synset(str(synset["WNID"]), str(synset["words"]))
            for synset in synsets
            if synset["num_children"] == 0
        }
    except (*mat_errors, KeyError, IndexError) as error:
        raise ValueError(f"{archive}: {_SYNSETS} cannot be read: {error}") from error
