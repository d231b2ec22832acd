"""The numbers of runs, read from the outputs of the stages."""

import functools
import json
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from lzn.runs.curves import read_curve
from stages.measuring.quantity import NestedQuantities, Quantity, combine_seeds, flatten_quantities
from stages.measuring.recipes import Recipe, common_recipes
from stages.measuring.seed_files import read_quantities, read_reasons
from stages.reporting.metrics import METRICS
from stages.runtime.outputs import OutputPaths

FAMILY_OF_STAGE = {
    **dict.fromkeys(("measure", "steps"), "generative"),
    **dict.fromkeys(("classify", "settings"), "classifying"),
    **dict.fromkeys(("probe", "tsne"), "representing"),
    "zones": "encoding",
}
"""The stages that measure runs, and the family of the runs that each measures."""
CURVE_TAIL = 0.1
"""The losses shown are means over this last share of the training curve, because single points are noisy."""


class Results:
    """The numbers of the runs of one size, as far as they exist. Each file is read once, when it is needed.

    Attributes:
        outputs: the paths of the size.
        families: the section ``families`` of params.yaml: which runs go through which stages, with their data sets.
    """

    def __init__(
        self, outputs: OutputPaths, families: Mapping[str, Mapping[str, str]] = MappingProxyType({})
    ) -> None:
        self.outputs = outputs
        self.families = families
        self._read_quantities = functools.cache(self._quantities)
        self._read_configurations = functools.cache(self._configurations)
        self._read_curves = functools.cache(self._curves)

    def has(self, stage: str, run: str) -> bool:
        """Return whether the stage has measured the run."""
        return bool(self.outputs.measured_seeds(stage, run))

    def waits_for(self, stage: str, run: str) -> bool:
        """Return whether the run goes through the stage, which has not measured it yet."""
        return run in self.families.get(FAMILY_OF_STAGE[stage], {}) and not self.has(stage, run)

    def nested(self, stage: str, run: str) -> NestedQuantities:
        """Return the numbers of a run by the names of the stage that measured them; empty if it did not."""
        return self._read_quantities(stage, run)

    def flat(self, stage: str, run: str) -> Mapping[str, Quantity]:
        """Return the numbers of `nested` by dotted names."""
        return flatten_quantities(self.nested(stage, run))

    def not_measured(self, stage: str, run: str) -> Mapping[str, str]:
        """Return why numbers of a run are not measured, by the name of the number."""
        reasons = read_reasons(self.outputs, stage, run)
        return {name: f"not measured: {reason}" for name, reason in reasons.items()}

    def recipes(self, stage: str, runs: Iterable[str]) -> Mapping[str, Recipe]:
        """Return how the distances of runs whose numbers are compared were measured, by the name of the distance.

        Raises:
            ParamsError: two of them were measured with different real images, networks or preprocessings.
        """
        return common_recipes(self.outputs, stage, runs)

    def accuracy(self, run: str) -> Quantity:
        """Return the test accuracy in percent."""
        return METRICS["accuracy"].shown(self.flat("classify", run)["accuracy"])

    def classifiers(self) -> Mapping[str, Mapping[str, float]]:
        """Return the numbers of each data set's own classifier, by data set."""
        folder = self.outputs.metrics("features", "any").parent
        measured = {file.stem: json.loads(file.read_text()) for file in sorted(folder.glob("[!.]*.json"))}
        return {name: numbers for name, numbers in measured.items() if numbers}

    def configurations(self, run: str) -> Mapping[int, Mapping[str, Any]]:
        """Return the content of each seed's ``run.json``; plain data, because its types import the method."""
        return self._read_configurations(run)

    def data_of(self, run: str) -> str:
        """Return the name of the run's data set."""
        for content in self.configurations(run).values():
            data: str = content["run"]["data"]
            return data
        return next(family[run] for family in self.families.values() if run in family)

    def class_name(self, run: str, label: int | str) -> str:
        """Return the name of a class of the run's data set; the label without names."""
        names = next(iter(self.configurations(run).values()), {}).get("class_names", ())
        return str(names[int(label)]) if names else str(label)

    def is_trained(self, run: str) -> bool:
        """Return whether the run was trained here; an imported run has no training curve."""
        return bool(self.curves(run))

    def curves(self, run: str) -> Mapping[int, list[dict[str, float]]]:
        """Return the training curve of each trained seed: rows with a ``step`` and the values at this step."""
        return self._read_curves(run)

    def end_of_training(self, run: str) -> Mapping[str, Quantity]:
        """Return means over the last tenth of the training curves, and the numbers of steps and skipped steps."""
        return flatten_quantities(
            combine_seeds({seed: _end_of(rows) for seed, rows in self.curves(run).items()})
        )

    def _quantities(self, stage: str, run: str) -> NestedQuantities:
        seeds = self.outputs.measured_seeds(stage, run)
        return read_quantities(self.outputs, stage, run, seeds=seeds)

    def _configurations(self, run: str) -> Mapping[int, Mapping[str, Any]]:
        files = {seed: self.outputs.configuration(run, seed) for seed in self.outputs.trained_seeds(run)}
        return {seed: json.loads(file.read_text()) for seed, file in files.items() if file.exists()}

    def _curves(self, run: str) -> Mapping[int, list[dict[str, float]]]:
        files = {seed: self.outputs.curve(run, seed) for seed in self.outputs.trained_seeds(run)}
        return {seed: read_curve(file) for seed, file in files.items() if file.exists()}


def _end_of(rows: list[dict[str, float]]) -> dict[str, float]:
    tail = rows[-max(1, round(CURVE_TAIL * len(rows))) :]
    means = {name: sum(row[name] for row in tail) / len(tail) for name in rows[0]}
    return {**means, "step": rows[-1]["step"], "skipped_steps": rows[-1]["skipped_steps"]}
