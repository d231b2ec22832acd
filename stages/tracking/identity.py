"""The names of an MLflow run, and the names that MLflow accepts."""

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass

_KEY = re.compile(r"[0-9a-f]{8,128}")
_EXPERIMENT = re.compile(r"[\w][\w.-]*")
_LOGGED_NAME = re.compile(r"[/\w.\- :]+")


@dataclass(frozen=True)
class RunIdentity:
    """The names that identify an MLflow run.

    Attributes:
        experiment: MLflow experiment, one for each size (``lzn-digits``).
        name: the run's name for people (``rf_lzn, seed 0``).
        key: lower-case hexadecimal hash of configuration, code and data, by which all stages find the run.
        parent: the run of which this one is a child in MLflow, in the same experiment; None for a run without parent.

    Raises:
        ValueError: the experiment or the key is not usable as the name of a folder, or the name is empty.
    """

    experiment: str
    name: str
    key: str
    parent: "RunIdentity | None" = None

    def __post_init__(self) -> None:
        if not _EXPERIMENT.fullmatch(self.experiment):
            raise ValueError(
                f"experiment must consist of letters, digits, '.', '_' and '-', got {self.experiment!r}"
            )
        if not self.name.strip():
            raise ValueError("name must not be empty: MLflow shows it")
        if not _KEY.fullmatch(self.key):
            raise ValueError(
                f"key must be a lower-case hexadecimal hash of 8 to 128 digits, got {self.key!r}"
            )
        assert self.parent is None or self.parent.experiment == self.experiment


def check_names(names: Mapping[str, object]) -> None:
    """Raise ValueError for a parameter, metric or tag name that MLflow refuses."""
    for name in names:
        if not _LOGGED_NAME.fullmatch(name) or not _is_plain_path(name):
            raise ValueError(
                f"a name must consist of letters, digits and '_', '-', '.', ' ', ':', '/', got {name!r}"
            )


def check_artifact(artifact: str) -> None:
    """Raise ValueError unless ``artifact`` is a relative path with '/' inside the run's folder."""
    if not artifact or "\\" in artifact or not _is_plain_path(artifact):
        raise ValueError(f"an artifact must be a relative path such as 'samples/grid.png', got {artifact!r}")


def _is_plain_path(path: str) -> bool:
    return posixpath.normpath(path) == path and not path.startswith(("/", "../")) and path not in (".", "..")
