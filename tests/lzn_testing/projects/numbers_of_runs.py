"""Made-up numbers of runs on disk: only the files that a test writes, for tests of claims and tables."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lzn.runs.curves import write_curve
from stages.reporting.results import Results
from stages.runtime.outputs import OutputPaths


class NumbersOfRuns:
    """``outputs/tiny`` in the current folder, which is empty at first."""

    def __init__(self) -> None:
        self.paths = OutputPaths("tiny")

    @property
    def results(self) -> Results:
        """The results as they are on disk now."""
        return Results(self.paths)

    def write(self, stage: str, run: str, by_seed: Sequence[Mapping[str, Any]]) -> None:
        """Write the numbers of seeds 0, 1 and so on that a stage measured."""
        for seed, numbers in enumerate(by_seed):
            _write_json(self.paths.measured(stage, run, seed), numbers)

    def write_classifier(self, data: str, numbers: Mapping[str, float]) -> None:
        """Write the numbers of a data set's own classifier."""
        _write_json(self.paths.metrics("features", data), numbers)

    def train(
        self,
        run: str,
        data: str = "digits",
        *,
        curves: Sequence[Sequence[Mapping[str, float]]] = (),
        num_seeds: int = 2,
        batch_size: int = 128,
        **content: Any,
    ) -> None:
        """Write what the stages train and import write: configurations and, of a run trained here, its curves."""
        settings = {"data": data, "training": {"batch_size": batch_size}}
        for seed in range(num_seeds):
            _write_json(self.paths.configuration(run, seed), {"run": settings, **content})
        for seed, rows in enumerate(curves):
            write_curve(self.paths.curve(run, seed), rows)
        if curves:
            mean_of_curves = self.paths.plot("train", f"{run}.csv")
            mean_of_curves.parent.mkdir(parents=True, exist_ok=True)
            write_curve(mean_of_curves, curves[0])


def over_seeds(**by_name: Sequence[float]) -> list[dict[str, float]]:
    """Return the numbers of each seed: ``over_seeds(fid=(2.0, 2.1))`` is ``[{"fid": 2.0}, {"fid": 2.1}]``."""
    return [dict(zip(by_name, values, strict=True)) for values in zip(*by_name.values(), strict=True)]


def _write_json(file: Path, content: object) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content))
