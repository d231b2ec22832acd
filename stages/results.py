"""What the stages before measured, by run."""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.workspace import Workspace

CURVE_TAIL = 0.1
"""Losses of a run are means over this last share of its training curve: single points are noisy."""


@dataclass(frozen=True)
class Results:
    """Numbers of one size's runs, read from the folder of all metrics and the training curves."""

    workspace: Workspace

    def measured(self, run: str) -> Mapping[str, float]:
        """What ``measure`` wrote."""
        return self._read("measure", run)

    def classifies(self, run: str) -> bool:
        """Whether the run went through ``classify``."""
        return self.workspace.metrics("classify", run).exists()

    def accuracy(self, run: str) -> float:
        """Test accuracy that ``classify`` found, in percent like the paper's."""
        return 100.0 * float(self._read("classify", run)["accuracy"])

    def probes(self, run: str) -> Mapping[str, Mapping[str, Mapping[str, float]]]:
        """Accuracies that ``probe`` found, by encoder and representation."""
        return self._read("probe", run)

    def zones(self, run: str) -> Mapping[str, Mapping[str, float]]:
        """What ``zones`` measured, by what the zones are made of."""
        return self._read("zones", run)

    def features(self) -> Mapping[str, Mapping[str, float]]:
        """What ``features`` measured of each data set's classifier, where there is one."""
        folder = self.workspace.metrics("features", "any").parent
        names = sorted(file.stem for file in folder.glob("*.json"))
        measured = {name: self._read("features", name) for name in names}
        return {name: numbers for name, numbers in measured.items() if numbers}

    def data_of(self, run: str) -> str:
        """Name of the run's data set."""
        file = self.workspace.folder("train", run) / "run.json"
        name: str = json.loads(file.read_text())["run"]["data"]
        return name

    def is_trained(self, run: str) -> bool:
        """Whether the run was trained here; an imported one has no training curve."""
        return self._curve(run).exists()

    def end_of_training(self, run: str) -> Mapping[str, float]:
        """Means over the last tenth of the training curve, and the number of steps and of skipped steps."""
        with self._curve(run).open(newline="") as stream:
            rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(stream)]
        tail = rows[-max(1, round(CURVE_TAIL * len(rows))) :]
        means = {name: sum(row[name] for row in tail) / len(tail) for name in rows[0]}
        return {**means, "step": rows[-1]["step"], "skipped_steps": rows[-1]["skipped_steps"]}

    def _curve(self, run: str) -> Path:
        return self.workspace.plot("train", f"{run}.csv")

    def _read(self, stage: str, item: str) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.workspace.metrics(stage, item).read_text())
        return content
