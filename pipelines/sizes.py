"""Where the files of a size are: dvc.yaml at the root for one of them, below `scales/` for the others."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lzn.base.sections import read_yaml


class UnknownSizeError(ValueError):
    """There is no such size; the message lists those that there are."""


@dataclass(frozen=True)
class SizeFiles:
    """Files of a size, from the project's root."""

    size: str
    dvc_file: Path
    params_file: Path

    def targets(self, names: Sequence[str]) -> tuple[str, ...]:
        """DVC's addresses, from the root, of stages or families of this size; of the whole DAG for no names."""
        if not names:
            return (str(self.dvc_file),)
        prefix = "" if self.dvc_file.parent == Path() else f"{self.dvc_file}:"
        return tuple(name if ":" in name else prefix + name for name in names)


def dvc_file_of(stage: str) -> Path:
    """The dvc.yaml, from the project's root, in which a stage is whose address from there this is."""
    file, separator, _ = stage.rpartition(":")
    return Path(file if separator else "dvc.yaml")


def files_of_size(size: str, root: Path = Path()) -> SizeFiles:
    """Find a size by what its params.yaml says.

    Raises UnknownSizeError if there is none, ParamsError for an unreadable params.yaml.
    """
    found: dict[str, SizeFiles] = {}
    for dvc_file in sorted([root / "dvc.yaml", *root.glob("scales/*/dvc.yaml")]):
        params_file = dvc_file.with_name("params.yaml")
        name = str(read_yaml(params_file).get("size"))
        found[name] = SizeFiles(name, dvc_file, params_file)
    if size not in found:
        raise UnknownSizeError(f"no size {size}; there is {', '.join(found)}")
    return found[size]
