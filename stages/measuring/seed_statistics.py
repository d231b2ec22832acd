"""Stages that turn a trained run into numbers: each seed's are written, summed up over seeds, and told to MLflow."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lzn.base.files import write_json
from lzn.base.sections import ParamsError
from lzn.runs.trained import read_configuration
from stages.measuring.quantity import (
    Nested,
    NestedQuantities,
    combine_seeds,
    flatten_quantities,
    means_and_deviations,
)
from stages.runtime.stage_main import StageCall, run_stage_of_seeds
from stages.tracking import Tracker
from stages.tracking.seed_identity import identity_of

Extras = Callable[[StageCall, NestedQuantities], Mapping[str, Path]]
"""Writes what a stage makes of all seeds together; returns pictures for MLflow by artifact name."""


def run_measuring_stage(
    stage: str, measure: Callable[[StageCall], Nested], *, extras: Extras | None = None
) -> None:
    """Run the stage: ``measure`` once for every seed that the run was trained with.

    Writes ``metrics/<stage>/<run>/seed_<n>.json`` with what ``measure`` returned, and ``metrics/<stage>/<run>.json``
    with means and standard deviations; MLflow's run of each seed gets its numbers as ``<stage>.<name>``.
    """
    start = time.monotonic()

    def of_one_seed(call: StageCall) -> None:
        write_json(call.outputs.measured(stage, call.item, call.known_seed), measure(call))

    def sum_up(call: StageCall, seeds: Sequence[int]) -> None:
        files = {seed: call.outputs.measured(stage, call.item, seed) for seed in seeds}
        combined = combine_seeds({seed: json.loads(file.read_text()) for seed, file in files.items()})
        write_json(call.outputs.metrics(stage, call.item), means_and_deviations(combined))
        pictures = {} if extras is None else extras(call, combined)
        track_measured(call, stage, combined, seeds, pictures=pictures, seconds=time.monotonic() - start)
        _print(call.item, combined)

    run_stage_of_seeds(stage, of_one_seed, seeds_of=trained_seeds, sum_up=sum_up)


def trained_seeds(call: StageCall) -> list[int]:
    """The seeds that the run was trained with.

    Raises:
        ParamsError: there are none: it was not trained.
    """
    seeds = call.outputs.trained_seeds(call.item)
    if not seeds:
        raise ParamsError(f"run {call.item} is not trained: run dvc repro train@{call.item}")
    return seeds


def track_measured(
    call: StageCall,
    stage: str,
    combined: NestedQuantities,
    seeds: Sequence[int],
    *,
    seconds: float,
    pictures: Mapping[str, Path],
) -> None:
    """Tell MLflow's run of each seed its numbers, pictures, and its share of the stage's wall time."""
    flat = flatten_quantities(combined)
    for seed in seeds:
        identity = identity_of(read_configuration(call.outputs.seed_folder("train", call.item, seed)))
        numbers = {
            f"{stage}.{name}": found.by_seed[seed] for name, found in flat.items() if seed in found.by_seed
        }
        with Tracker.join(identity, tags={}) as tracker:
            tracker.log_summary({**numbers, f"seconds.{stage}": seconds / len(seeds)})
            for artifact, file in pictures.items():
                tracker.log_image(file, artifact)


def _print(run: str, combined: NestedQuantities) -> None:
    """One line with all numbers."""
    flat = flatten_quantities(combined)
    print(
        f"{run}: "
        + ", ".join(f"{name} {found.mean:.4g}{_deviation(found.std)}" for name, found in flat.items())
    )


def _deviation(std: float | None) -> str:
    return "" if std is None else f" ± {std:.2g}"
