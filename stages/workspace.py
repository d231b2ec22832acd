"""Where the files of a size are: ``outputs/<size>/<stage>[/<run>]``, and checkpoints outside of DVC's outputs."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Workspace:
    """Folders of one size, relative to the project's root, in which stages are started."""

    size: str

    def folder(self, stage: str, run: str | None = None) -> Path:
        """What a stage reads or writes, for one run where it is one of a family."""
        folder = Path("outputs") / self.size / stage
        return folder if run is None else folder / run

    def checkpoints(self, name: str, key: str) -> Path:
        """Checkpoints of one training, told apart by the hash of its configuration, code and data."""
        return Path(".checkpoints") / self.size / f"{name}-{key}"
