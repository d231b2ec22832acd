"""Trained runs on disk, found by name, with their abilities and numbers. Needs no torch."""

import difflib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lzn.base.nested import flatten
from lzn.base.sections import KEY_RULE, is_key
from lzn.inference.abilities import Ability, RunFacts
from lzn.inference.errors import UserError

_NAME_AND_SEED = re.compile(r"(?P<name>[^:]+)(:(?P<seed>\d+))?")
MODEL_IDS = Path(".mlflow-outbox/models.json")
"""File of the project with MLflow's ids of models by their keys; it is missing without MLflow."""
Number = Mapping[str, float]
"""``mean``, and for several seeds ``std``."""


@dataclass(frozen=True)
class CatalogueEntry:
    """One run.

    Attributes:
        facts: the facts of its first seed.
        seeds: its seeds.
        numbers: its numbers by ``<stage>.<dotted name>``.
        models: MLflow's ids of the models of its seeds; seeds whose models are not in MLflow are left out.
    """

    facts: RunFacts
    seeds: Sequence[int]
    numbers: Mapping[str, Number]
    models: Mapping[int, str]


@dataclass(frozen=True)
class ChosenRun:
    """A trained seed to open.

    Attributes:
        folder: the seed's folder.
        prepared_folder: returns the folder of a prepared data set by its name.
        device: name of the device of the model.
    """

    folder: Path
    prepared_folder: Callable[[str], Path]
    device: str


@dataclass(frozen=True)
class Catalogue:
    """The trained runs of one size.

    Attributes:
        root: the project's folder.
        size: such as ``digits``.
    """

    root: Path
    size: str

    @staticmethod
    def find(project: Path | None, *, size: str) -> "Catalogue":
        """Open a project; by default the current folder or the nearest parent with a folder ``outputs``.

        Raises:
            UserError: there is no such folder, or it has no trained run of this size.
        """
        if not is_key(size):
            raise UserError(f"--size {size}: the name of a size is {KEY_RULE}")
        root = project if project is not None else _project_above(Path.cwd())
        outputs = root / "outputs"
        if not outputs.is_dir():
            raise UserError(
                f"{root} has no folder outputs: train first (make repro), or choose another --project"
            )
        catalogue = Catalogue(root, size)
        if not catalogue.train_folder.is_dir():
            sizes = ", ".join(sorted(folder.parent.name for folder in outputs.glob("*/train")))
            advice = f"choose --size from {sizes}" if sizes else "train first (make repro)"
            raise UserError(f"no run of size {size} is trained in {root}: {advice}")
        return catalogue

    @property
    def outputs(self) -> Path:
        """The folder of this size's outputs, with one folder for each stage."""
        return self.root / "outputs" / self.size

    @property
    def train_folder(self) -> Path:
        """The folder of all trained runs, with one folder for each run."""
        return self.outputs / "train"

    def prepared_folder(self, data: str) -> Path:
        """Return the folder of a prepared data set."""
        return self.outputs / "prepare" / data

    def seeds(self, run: str) -> list[int]:
        """Return the trained seeds of a run in increasing order."""
        names = (folder.parent.name for folder in (self.train_folder / run).glob("seed_*/run.json"))
        return sorted(int(name.removeprefix("seed_")) for name in names)

    def run_names(self) -> list[str]:
        """Return the names of the trained runs in alphabetical order."""
        return sorted({file.parents[1].name for file in self.train_folder.glob("*/seed_*/run.json")})

    def entries(self) -> list[CatalogueEntry]:
        """Read all trained runs.

        Raises:
            UserError: a JSON file is damaged or from another version.
        """
        return [self._entry(name) for name in self.run_names()]

    def seed_folder(self, reference: str) -> Path:
        """Return the folder of a seed.

        Args:
            reference: a run (``joint``: its first seed), run and seed (``joint:1``), or the path to a seed's folder.

        Raises:
            UserError: there is no such run or seed; the message lists similar names.
        """
        if "/" in reference or (
            reference not in self.run_names() and (Path(reference) / "run.json").exists()
        ):
            return Path(reference)
        parts = _NAME_AND_SEED.fullmatch(reference)
        if parts is None:
            raise UserError(
                f"{reference!r} is not the name of a run: give joint, joint:1 (seed 1), or the path to a seed's folder"
            )
        seeds = self.seeds(parts["name"])
        if not seeds:
            raise UserError(self._no_such_run(parts["name"]))
        seed = seeds[0] if parts["seed"] is None else int(parts["seed"])
        if seed not in seeds:
            raise UserError(
                f"run {parts['name']} has no seed {seed}; its seeds are {', '.join(map(str, seeds))}"
            )
        return self.train_folder / parts["name"] / f"seed_{seed}"

    def choose(self, reference: str, ability: Ability | None = None, *, device: str = "cpu") -> "ChosenRun":
        """Choose a seed as `seed_folder` does, and check that the run has an ability.

        Raises:
            UserError: there is no such run or seed, its configuration is damaged, or the run lacks the ability.
        """
        folder = self.seed_folder(reference)
        facts = read_facts(folder)
        if ability is not None and ability not in facts.abilities:
            facts.require(ability, others=[entry.facts for entry in self.entries()])
        return ChosenRun(folder, self.prepared_folder, device)

    def _entry(self, name: str) -> CatalogueEntry:
        seeds = self.seeds(name)
        facts = read_facts(self.train_folder / name / f"seed_{seeds[0]}")
        files = sorted((self.outputs / "metrics").glob(f"*/{name}.json"))
        numbers: dict[str, Number] = {}
        for file in files:
            found = _numbers(_read_json(file))
            numbers |= {f"{file.parent.name}.{name}": number for name, number in found.items()}
        return CatalogueEntry(facts, seeds, numbers, self._models(name, seeds))

    def _models(self, name: str, seeds: Sequence[int]) -> dict[int, str]:
        """Return MLflow's ids of models by seed; the pipeline notes them by the key in ``run.json``."""
        file = self.root / MODEL_IDS
        ids = _read_json(file) if file.exists() else {}
        keys = {
            seed: _read_json(self.train_folder / name / f"seed_{seed}" / "run.json")["key"] for seed in seeds
        }
        return {seed: ids[key] for seed, key in keys.items() if key in ids}

    def _no_such_run(self, name: str) -> str:
        names = self.run_names()
        similar = difflib.get_close_matches(name, names, n=3)
        suggestion = f"similar names: {', '.join(similar)}; " if similar else ""
        return f"there is no trained run {name!r}; {suggestion}trained runs: {', '.join(names) or 'none'}"


def read_facts(folder: Path) -> RunFacts:
    """Read the facts about a trained seed from its folder.

    Raises:
        UserError: ``run.json`` is missing, damaged or from another version.
    """
    file = folder / "run.json"
    try:
        return RunFacts.from_json(_read_json(file))
    except (KeyError, TypeError, IndexError) as error:
        raise UserError(f"{file} was written by another version of the code: train the run again") from error


def _project_above(start: Path) -> Path:
    for folder in (start, *start.parents):
        if (folder / "outputs").is_dir():
            return folder
    raise UserError(
        f"neither {start} nor a parent has a folder outputs: change to the project's folder or use --project"
    )


def _read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_text())
    except FileNotFoundError as error:
        raise UserError(f"{file} does not exist: name the folder of a trained seed") from error
    except ValueError as error:
        raise UserError(f"{file} is damaged ({error}): restore it with dvc checkout") from error


def _numbers(metrics: Mapping[str, Any]) -> dict[str, Number]:
    """Return the numbers of a stage's metrics by dotted names; a plain number becomes a mean."""
    found: dict[str, Number] = {}
    for name, value in flatten(metrics, is_leaf=lambda mapping: "mean" in mapping).items():
        parts = value if isinstance(value, Mapping) else {"mean": value}
        found[name] = {part: float(parts[part]) for part in ("mean", "std") if parts.get(part) is not None}
    return found
