"""The paths of the files of a size: ``outputs/<size>/<stage>[/<run>]``, and unfinished work outside of them."""

from dataclasses import dataclass
from pathlib import Path

from stages.runtime.project_root import in_project

PARTIAL_REPORT = "partial_report"
"""Folder of the tables and the report of the results that exist so far; no stage writes or reads it."""


def feature_cache() -> Path:
    """Return the cache of image features for all sizes, runs and stages; see `stages.feature_extraction.cache`."""
    return in_project(".features")


@dataclass(frozen=True)
class OutputPaths:
    """Paths of one size. Outputs are relative to the current folder; unfinished work is in the project's root."""

    size: str

    def folder(self, stage: str, run: str | None = None) -> Path:
        """Return the output folder of a stage, or of a run in it."""
        folder = Path("outputs") / self.size / stage
        return folder if run is None else folder / run

    def seed_folder(self, stage: str, run: str, seed: int) -> Path:
        """Return the output folder of one seed of a run."""
        return self.folder(stage, run) / f"seed_{seed}"

    def trained_seeds(self, run: str) -> list[int]:
        """Return the seeds that a run was trained with, in order."""
        return _seeds_in(self.folder("train", run))

    def measured_seeds(self, stage: str, run: str) -> list[int]:
        """Return the seeds of a run that a stage has measured, in order."""
        return _seeds_in(self.metrics_folder(stage) / run)

    def configuration(self, run: str, seed: int) -> Path:
        """Return the file with the configuration of a trained seed; its weights are in the same folder."""
        return self.seed_folder("train", run, seed) / "run.json"

    def curve(self, run: str, seed: int) -> Path:
        """Return the file with the training curve of one seed; imported runs have none."""
        return self.seed_folder("train", run, seed) / "curve.csv"

    def live_curve(self, run: str, seed: int) -> Path:
        """Return the file of the training curve that grows during the training; it is no output of a stage."""
        return Path("live") / run / f"seed_{seed}.csv"

    def images(self, run: str, seed: int, *, unconditional: bool = False) -> Path:
        """Return the file with the sampled images of one seed.

        Runs of case study 3 have a second file: their images are conditional, and others are ``unconditional``.
        """
        name = "unconditional.npy" if unconditional else "images.npy"
        return self.seed_folder("sample", run, seed) / name

    def metrics_folder(self, stage: str) -> Path:
        """Return the folder with the numbers of all runs or data sets that a stage has measured."""
        return Path("outputs") / self.size / "metrics" / stage

    def metrics(self, stage: str, item: str) -> Path:
        """Return the file with a stage's numbers of a data set, or of a run: means and deviations over seeds."""
        return self.metrics_folder(stage) / f"{item}.json"

    def measured(self, stage: str, run: str, seed: int) -> Path:
        """Return the file with a stage's numbers of one seed of a run."""
        return self.metrics_folder(stage) / run / f"seed_{seed}.json"

    def plots_folder(self, stage: str) -> Path:
        """Return the folder with the plots of a stage: pictures, and the data of pictures."""
        return Path("outputs") / self.size / "plots" / stage

    def plot(self, stage: str, file_name: str) -> Path:
        """Return a file in `plots_folder`; its name is that of the run."""
        return self.plots_folder(stage) / file_name

    def checkpoints(self, name: str, key: str) -> Path:
        """Return the folder with the checkpoints of one training, or with unfinished samples of one run.

        ``key`` is a hash of everything that determines the result.
        """
        return in_project(".checkpoints") / self.size / f"{name}-{key}"

    def lock(self, name: str, key: str) -> Path:
        """Return the lock file of unfinished work; see `stages.runtime.exclusive_work`."""
        return in_project(".checkpoints") / self.size / f"{name}-{key}.lock"

    def source_files(self, name: str) -> Path:
        """Return the file with the fingerprint of the files of a data set when it was prepared."""
        return in_project(".prepare") / self.size / f"{name}.source.json"

    def preparation(self, name: str, key: str) -> Path:
        """Return the folder of an unfinished preparation; ``key`` is a hash of its settings, code and source."""
        return in_project(".prepare") / self.size / f"{name}-{key}"


def _seeds_in(folder: Path) -> list[int]:
    return sorted({int(path.stem.removeprefix("seed_")) for path in folder.glob("seed_*")})
