"""Trained runs on disk, by name: what is there, what it can do, what was measured. Needs no torch."""

import difflib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lzn.inference.abilities import Ability, RunFacts
from lzn.inference.errors import UserError

_NAME_AND_SEED = re.compile(r"(?P<name>[^:]+)(:(?P<seed>\d+))?")
Number = Mapping[str, float]
"""``mean``, and with several seeds ``std``."""


@dataclass(frozen=True)
class CatalogueEntry:
    """One run: the facts of its first seed, its seeds, and its numbers by stage and dotted name."""

    facts: RunFacts
    seeds: Sequence[int]
    numbers: Mapping[str, Number]


@dataclass(frozen=True)
class ChosenRun:
    """A seed's folder, where its data set is, by the data set's name, and on which device it computes."""

    folder: Path
    prepared: Callable[[str], Path]
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
        """The project that was named, or the nearest of the current folder and those above it that has outputs.

        Raises:
            UserError: there is none, or it has nothing of this size.
        """
        root = project if project is not None else _project_above(Path.cwd())
        outputs = root / "outputs"
        if not outputs.is_dir():
            raise UserError(
                f"{root} has no folder outputs: train first (make repro), or name another --project"
            )
        catalogue = Catalogue(root, size)
        if not catalogue.train_folder.is_dir():
            there = sorted(folder.parent.name for folder in outputs.glob("*/train"))
            raise UserError(f"nothing of size {size} is trained in {root}; {_trained_sizes(there)}")
        return catalogue

    @property
    def train_folder(self) -> Path:
        """The folder with a folder for each run."""
        return self.outputs / "train"

    def prepared(self, data: str) -> Path:
        """Where a prepared data set is."""
        return self.outputs / "prepare" / data

    def seeds(self, run: str) -> list[int]:
        """Seeds of a run that are trained, in order."""
        names = (folder.parent.name for folder in (self.train_folder / run).glob("seed_*/run.json"))
        return sorted(int(name.removeprefix("seed_")) for name in names)

    def run_names(self) -> list[str]:
        """Names of the runs that are trained."""
        return sorted({file.parents[1].name for file in self.train_folder.glob("*/seed_*/run.json")})

    def entries(self) -> list[CatalogueEntry]:
        """All runs.

        Raises:
            UserError: a configuration is damaged.
        """
        return [self._entry(name) for name in self.run_names()]

    def seed_folder(self, reference: str) -> Path:
        """The folder of ``joint``, ``joint:1``, or of a path to a seed's folder.

        Raises:
            UserError: there is no such run or seed; the message proposes names that are alike.
        """
        if "/" in reference or (
            reference not in self.run_names() and (Path(reference) / "run.json").exists()
        ):
            return Path(reference)
        parts = _NAME_AND_SEED.fullmatch(reference)
        if parts is None:
            raise UserError(
                f"{reference!r} names no run: give joint, joint:1 (seed 1), or a path to a seed's folder"
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
        """The run that is meant, which must have this ability.

        Raises:
            UserError: there is no such run, its configuration is damaged, or it cannot do that.
        """
        folder = self.seed_folder(reference)
        facts = read_facts(folder)
        if ability is not None and ability not in facts.abilities:
            facts.require(ability, others=[entry.facts for entry in self.entries()])
        return ChosenRun(folder, self.prepared, device)

    def _entry(self, name: str) -> CatalogueEntry:
        seeds = self.seeds(name)
        facts = read_facts(self.train_folder / name / f"seed_{seeds[0]}")
        files = sorted((self.outputs / "metrics").glob(f"*/{name}.json"))
        numbers: dict[str, Number] = {}
        for file in files:
            numbers |= _flat_numbers(_read_json(file), f"{file.parent.name}.")
        return CatalogueEntry(facts, seeds, numbers)

    def _no_such_run(self, name: str) -> str:
        names = self.run_names()
        alike = difflib.get_close_matches(name, names, n=3)
        question = f"did you mean {' or '.join(alike)}? " if alike else ""
        return (
            f"there is no trained run {name!r}; {question}there are: {', '.join(names) or 'none'} (lzn runs)"
        )

    @property
    def outputs(self) -> Path:
        """Where the stages write this size's files: a folder a stage."""
        return self.root / "outputs" / self.size


def read_facts(folder: Path) -> RunFacts:
    """What a seed's folder says of it.

    Raises:
        UserError: it holds no configuration, or another version's.
    """
    file = folder / "run.json"
    try:
        return RunFacts.of(_read_json(file))
    except (KeyError, TypeError, IndexError) as error:
        raise UserError(f"{file} was written by another version: train the run again") from error


def _project_above(start: Path) -> Path:
    for folder in (start, *start.parents):
        if (folder / "outputs").is_dir():
            return folder
    raise UserError(
        f"neither {start} nor a folder above it has outputs: go to the project, or name it with --project"
    )


def _trained_sizes(there: Sequence[str]) -> str:
    if not there:
        return "train first: make repro"
    return f"there is: {', '.join(there)} (--size)"


def _read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_text())
    except FileNotFoundError as error:
        raise UserError(f"{file} is missing: {file.parent} is not the folder of a trained seed") from error
    except ValueError as error:
        raise UserError(f"{file} is damaged: {error}; bring it back with dvc checkout") from error


def _flat_numbers(content: Any, prefix: str) -> dict[str, Number]:
    """Nested {"mean", "std"} by dotted names; a plain number is a mean."""
    if isinstance(content, (int, float)):
        return {prefix.removesuffix("."): {"mean": float(content)}}
    if not isinstance(content, Mapping):
        return {}
    if "mean" in content and isinstance(content["mean"], (int, float)):
        number = {name: float(content[name]) for name in ("mean", "std") if content.get(name) is not None}
        return {prefix.removesuffix("."): number}
    flat: dict[str, Number] = {}
    for name, value in content.items():
        flat |= _flat_numbers(value, f"{prefix}{name}.")
    return flat
