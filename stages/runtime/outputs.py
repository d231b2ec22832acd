"""Where the files of a size are: ``outputs/<size>/<stage>[/<run>]``, and what is unfinished outside of them."""

from dataclasses import dataclass
from pathlib import Path

FEATURE_CACHE = Path(".features")
"""Features of images, shared by all sizes, runs and stages; each file is named by what decides its content."""


@dataclass(frozen=True)
class OutputPaths:
    """Folders of one size, relative to the project's root, in which stages are started."""

    size: str

    def folder(self, stage: str, run: str | None = None) -> Path:
        """What a stage reads or writes, for one run where it is one of a family."""
        folder = Path("outputs") / self.size / stage
        return folder if run is None else folder / run

    def seed_folder(self, stage: str, run: str, seed: int) -> Path:
        """What a stage reads or writes for one seed of a run."""
        return self.folder(stage, run) / f"seed_{seed}"

    def trained_seeds(self, run: str) -> list[int]:
        """Seeds that a run was trained with, in order."""
        return _seeds_in(self.folder("train", run))

    def measured_seeds(self, stage: str, run: str) -> list[int]:
        """Seeds of a run of which a stage has left numbers, in order."""
        return _seeds_in(self._metrics_folder(stage) / run)

    def configuration(self, run: str, seed: int) -> Path:
        """What rebuilds the model of one seed of a run; beside it are its weights."""
        return self.seed_folder("train", run, seed) / "run.json"

    def curve(self, run: str, seed: int) -> Path:
        """The training curve of one seed of a run; imported runs have none."""
        return self.seed_folder("train", run, seed) / "curve.csv"

    def measured(self, stage: str, run: str, seed: int) -> Path:
        """Numbers that a stage found with one seed of a run; their folder is beside the file with their means."""
        return self._metrics_folder(stage) / run / f"seed_{seed}.json"

    def metrics(self, stage: str, item: str) -> Path:
        """Numbers that a stage found of a run (mean and deviation over seeds) or of a data set; for ``dvc metrics``.

        ``tables`` and ``report`` read the folder of all of them.
        """
        return self._metrics_folder(stage) / f"{item}.json"

    def plot(self, stage: str, file_name: str) -> Path:
        """What a picture is made of, or a picture, named after its run.

        ``tables`` and ``report`` read the folder of all of them.
        """
        return Path("outputs") / self.size / "plots" / stage / file_name

    def checkpoints(self, name: str, key: str) -> Path:
        """Checkpoints of one training, told apart by the hash of its configuration, code and data."""
        return Path(".checkpoints") / self.size / f"{name}-{key}"

    def preparation(self, name: str, key: str) -> Path:
        """An unfinished preparation of a data set, told apart by the hash of its settings, code and source."""
        return Path(".prepare") / self.size / f"{name}-{key}"

    def feature_cache(self) -> Path:
        """Features of images that were made before, by whatever stage; see `stages.feature_extraction.cache`."""
        return FEATURE_CACHE

    def _metrics_folder(self, stage: str) -> Path:
        return Path("outputs") / self.size / "metrics" / stage


def _seeds_in(folder: Path) -> list[int]:
    return sorted({int(path.stem.removeprefix("seed_")) for path in folder.glob("seed_*")})
