"""What the stages before measured, by run, as quantities over its seeds."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lzn.runs.curves import read_curve
from stages.measuring.quantity import NestedQuantities, Quantity, combine_seeds, flatten_quantities
from stages.runtime.outputs import OutputPaths

CURVE_TAIL = 0.1
"""Losses of a run are means over this last share of its training curve: single points are noisy."""


@dataclass(frozen=True)
class Results:
    """Numbers of one size's runs, read from the folders of all metrics and plots, and the training curves."""

    outputs: OutputPaths

    def measured(self, run: str) -> Mapping[str, Quantity]:
        """What ``measure`` found, by dotted names."""
        return flatten_quantities(self.of("measure", run))

    def classifies(self, run: str) -> bool:
        """Whether the run went through ``classify``."""
        return self.has("classify", run)

    def accuracy(self, run: str) -> Quantity:
        """Test accuracy that ``classify`` found, in percent like the paper's."""
        return flatten_quantities(self.of("classify", run))["accuracy"].times(100)

    def has(self, stage: str, run: str) -> bool:
        """Whether the stage has measured the run."""
        return bool(self.outputs.measured_seeds(stage, run))

    def of(self, stage: str, run: str) -> NestedQuantities:
        """What a measuring stage found of a run."""
        found = {
            seed: json.loads(self.outputs.measured(stage, run, seed).read_text())
            for seed in self.outputs.measured_seeds(stage, run)
        }
        return combine_seeds(found)

    def features(self) -> Mapping[str, Mapping[str, float]]:
        """What ``features`` measured of each data set's classifier, where there is one."""
        folder = self.outputs.metrics("features", "any").parent
        measured = {file.stem: json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))}
        return {name: numbers for name, numbers in measured.items() if numbers}

    def configurations(self, run: str) -> Mapping[int, Mapping[str, Any]]:
        """What each seed's ``run.json`` says, as plain data: its types (`lzn.runs.trained`) import the method."""
        files = {seed: self.outputs.configuration(run, seed) for seed in self.outputs.trained_seeds(run)}
        return {seed: json.loads(file.read_text()) for seed, file in files.items()}

    def data_of(self, run: str) -> str:
        """Name of the run's data set."""
        first: str = next(iter(self.configurations(run).values()))["run"]["data"]
        return first

    def is_trained(self, run: str) -> bool:
        """Whether the run was trained here; an imported one has no training curve."""
        return self.outputs.plot("train", f"{run}.csv").exists()

    def end_of_training(self, run: str) -> Mapping[str, Quantity]:
        """Means over the last tenth of each seed's training curve, and the number of steps and of skipped steps."""
        by_seed = {seed: _end_of(self._curve(run, seed)) for seed in self.outputs.trained_seeds(run)}
        return flatten_quantities(combine_seeds(by_seed))

    def curves(self, run: str) -> Mapping[int, list[dict[str, float]]]:
        """Each seed's training curve: rows with a ``step`` and the values there."""
        return {seed: self._curve(run, seed) for seed in self.outputs.trained_seeds(run)}

    def _curve(self, run: str, seed: int) -> list[dict[str, float]]:
        return read_curve(self.outputs.curve(run, seed))


def _end_of(rows: list[dict[str, float]]) -> dict[str, float]:
    tail = rows[-max(1, round(CURVE_TAIL * len(rows))) :]
    means = {name: sum(row[name] for row in tail) / len(tail) for name in rows[0]}
    return {**means, "step": rows[-1]["step"], "skipped_steps": rows[-1]["skipped_steps"]}
