"""What was run: the code, the machine, dates and times, from MLflow."""

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from lzn.base.number_format import duration
from stages.reporting.metrics import NOT_RUN_YET
from stages.reporting.page.costs import STAGE_TIME, UNKNOWN, cost_table, training_seconds
from stages.reporting.results import Results
from stages.reporting.tables.table import Table
from stages.tracking import Lookup, TrackedRun, look_up

PACKAGES = ("torch", "numpy", "scikit-learn", "dvc", "mlflow")


@dataclass(frozen=True)
class SeedOfRun:
    """The training of one seed: a row of the last table of the page."""

    run: str
    seed: int
    study: str
    data: str
    num_steps: int | None
    batch_size: int | None
    started: str
    seconds: float | None
    link: str

    @property
    def time(self) -> str:
        """The training time as text."""
        return "–" if self.seconds is None else duration(self.seconds)


@dataclass(frozen=True)
class About:
    """Facts by name, the trainings, a note on the links to MLflow, and the table of costs."""

    facts: Mapping[str, str]
    runs: Sequence[SeedOfRun]
    note: str
    costs: Table


def about(results: Results, families: Mapping[str, Mapping[str, str]]) -> About:
    """Collect the facts; if MLflow cannot be read, the note says so."""
    names = sorted({run for family in families.values() for run in family})
    configurations = {
        (name, seed): content for name in names for seed, content in results.configurations(name).items()
    }
    keys = {place: content["key"] for place, content in configurations.items()}
    lookup = look_up(f"lzn-{results.outputs.size}", keys.values())
    tracked = {place: lookup.runs[key] for place, key in keys.items() if key in lookup.runs}
    runs = [
        _seed_of_run(name, seed, content["run"], tracked.get((name, seed)), lookup)
        for (name, seed), content in configurations.items()
    ]
    seeds = sorted({seed for _, seed in configurations})
    facts = {
        "Size": results.outputs.size,
        "Data": ", ".join(dict.fromkeys(data for family in families.values() for data in family.values())),
        "Runs": _runs(names, sorted({name for name, _ in configurations}), seeds),
        **_facts_of(list(tracked.values())),
        "Versions": ", ".join(
            [f"Python {sys.version.split()[0]}", *(f"{name} {version(name)}" for name in PACKAGES)]
        ),
    }
    note = _note(lookup, missing=len(keys) - len(tracked))
    return About(facts, runs, note, cost_table(names, configurations, tracked))


def _runs(names: Sequence[str], trained: Sequence[str], seeds: Sequence[int]) -> str:
    if not trained:
        return f"{len(names)}, {NOT_RUN_YET}"
    counted = str(len(names)) if len(trained) == len(names) else f"{len(trained)} of {len(names)}"
    return f"{counted}, with {'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}"


def _seed_of_run(
    name: str, seed: int, run: Mapping[str, Any], tracked: TrackedRun | None, lookup: Lookup
) -> SeedOfRun:
    training = run.get("training", {})
    return SeedOfRun(
        run=name,
        seed=seed,
        study=run.get("study", "–"),
        data=run["data"],
        num_steps=training.get("num_steps"),
        batch_size=training.get("batch_size"),
        started="–" if tracked is None else _time(tracked.started_at),
        seconds=None if tracked is None else training_seconds(tracked),
        link="" if tracked is None else lookup.page_of(tracked),
    )


def _facts_of(tracked: Sequence[TrackedRun]) -> dict[str, str]:
    if not tracked:
        return dict.fromkeys(("Commit", "Hardware", "When", "Training time", "Time of stages"), UNKNOWN)
    seconds = [found for run in tracked if (found := training_seconds(run)) is not None]
    stages: dict[str, float] = {}
    for run in tracked:
        for name, value in run.metrics.items():
            if name.startswith(STAGE_TIME):
                stage = name.removeprefix(STAGE_TIME)
                stages[stage] = stages.get(stage, 0.0) + value
    times = ", ".join(f"{stage} {duration(value)}" for stage, value in sorted(stages.items()))
    started = min(run.started_at for run in tracked)
    ended = max((run.ended_at for run in tracked if run.ended_at is not None), default=None)
    return {
        "Commit": _tags(tracked, "git_commit"),
        "Hardware": _tags(tracked, "hardware"),
        "When": _time(started) + (f" to {_time(ended)}" if ended is not None else ""),
        "Training time": f"{duration(math.fsum(seconds))}, summed over {len(seconds)} trainings (some run in parallel)"
        if seconds
        else UNKNOWN,
        "Time of stages": f"{times} (wall time, all runs)" if times else UNKNOWN,
    }


def _tags(tracked: Sequence[TrackedRun], name: str) -> str:
    values = dict.fromkeys(run.tags[name] for run in tracked if name in run.tags)
    return "; ".join(values) or UNKNOWN


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%d %H:%M UTC")


def _note(lookup: Lookup, *, missing: int) -> str:
    parts = []
    if lookup.error:
        parts.append(f"MLflow could not be read ({lookup.error}), so there are no links and times.")
    elif missing:
        parts.append(
            f"{missing} of the trainings are not in this MLflow; they were tracked elsewhere or not at all."
        )
    if lookup.needs_interface and not lookup.error:
        parts.append(f"Links lead to {lookup.interface}: start `make ui` first.")
    return " ".join(parts)
