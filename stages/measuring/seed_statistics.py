"""Runs stages that measure a trained run: numbers of each seed, their statistics over seeds, both in MLflow."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lzn.base.files import write_json
from lzn.base.sections import ParamsError
from lzn.data.prepared import read_description
from lzn.runs.trained import TrainedConfiguration, read_configuration
from stages.measuring.quantity import (
    Nested,
    NestedQuantities,
    Quantity,
    flatten_quantities,
    means_and_deviations,
)
from stages.measuring.seed_files import read_quantities
from stages.measuring.tracked_names import OF_SNAPSHOTS, SPLITS, TABLE, TrackedNumbers, tracked_numbers
from stages.runtime.memory import peak_memory_gb
from stages.runtime.stage_main import StageCall, run_stage_of_seeds
from stages.tracking import DatasetInput, RunIdentity, Tracker, import_mlflow
from stages.tracking.data import dataset_input
from stages.tracking.seed_identity import family_of, identity_of, model_key

Extras = Callable[[StageCall, NestedQuantities], Mapping[str, Path]]
"""Writes further files from the numbers of all seeds; returns pictures for MLflow by artifact name."""


def run_measuring_stage(
    stage: str, measure: Callable[[StageCall], Nested], *, extras: Extras | None = None
) -> None:
    """Run a stage that calls ``measure`` once for each seed of the trained run.

    Writes the result of each call to ``metrics/<stage>/<run>/seed_<n>.json`` and the means and standard deviations
    to ``metrics/<stage>/<run>.json``. The MLflow run of each seed gets its numbers by the names
    of `tracked_names`, and their parent the means and standard deviations.
    """
    start = time.monotonic()

    def measure_seed(call: StageCall) -> None:
        write_json(call.outputs.measured(stage, call.item, call.run_seed), measure(call))

    def write_statistics(call: StageCall, seeds: Sequence[int]) -> None:
        combined = read_quantities(call.outputs, stage, call.item, seeds=seeds)
        write_json(call.outputs.metrics(stage, call.item), means_and_deviations(combined))
        pictures = {} if extras is None else extras(call, combined)
        track_measured(call, stage, combined, seeds, pictures=pictures, seconds=time.monotonic() - start)
        flat = flatten_quantities(combined)
        print(f"{call.item}: " + ", ".join(f"{name} {quantity.text}" for name, quantity in flat.items()))

    run_stage_of_seeds(
        stage,
        measure_seed,
        seeds_of=trained_seeds,
        finish=write_statistics,
        import_meanwhile=import_mlflow,
    )


def trained_seeds(call: StageCall) -> list[int]:
    """Return the seeds that the run was trained with.

    Raises:
        ParamsError: the run is not trained.
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
    """Log to MLflow the numbers of each seed, with its model and data, and means and deviations to their parent.

    The run of each seed also gets the pictures, and an equal share of the stage's wall time.
    """
    flat = flatten_quantities(combined)
    for seed in seeds:
        configuration = read_configuration(call.outputs.seed_folder("train", call.item, seed))
        own = {name: quantity.by_seed[seed] for name, quantity in flat.items() if seed in quantity.by_seed}
        numbers = tracked_numbers(stage, own)
        prepared = call.outputs.folder("prepare", configuration.run.data)
        dataset = dataset_input(read_description(prepared), SPLITS.get(stage, "test"), folder=prepared)
        with Tracker.join(identity_of(configuration), tags={}) as tracker:
            if own:
                tracker.log_datasets([dataset])
                track_seed(tracker, configuration, numbers, dataset)
            memory = peak_memory_gb(call.device)
            tracker.log_summary({f"seconds/{stage}": seconds / len(seeds), f"memory/{stage}": memory})
            for artifact, file in pictures.items():
                tracker.log_file(file, artifact)
            if numbers.table:
                tracker.log_table(numbers.table, TABLE)
    if flat:
        _track_family(family_of(configuration), stage, flat)


def track_seed(
    tracker: Tracker, configuration: TrainedConfiguration, numbers: TrackedNumbers, dataset: DatasetInput
) -> None:
    """Log the numbers of a seed as those of its model, or of the snapshot that they measure."""
    of_snapshots = [point for point in numbers.curves if point[0].startswith(OF_SNAPSHOTS)]
    of_model = [point for point in numbers.curves if not point[0].startswith(OF_SNAPSHOTS)]
    tracker.log_summary(numbers.values, curves=of_model, model=model_key(configuration), dataset=dataset)
    for step in sorted({step for _, _, step in of_snapshots}):
        points = [point for point in of_snapshots if point[2] == step]
        tracker.log_summary({}, curves=points, model=model_key(configuration, step=step), dataset=dataset)


def _track_family(family: RunIdentity, stage: str, flat: Mapping[str, Quantity]) -> None:
    """Log the means over seeds and, with several seeds, the standard deviations as ``<name>_std``."""
    means = tracked_numbers(stage, {name: quantity.mean for name, quantity in flat.items()})
    deviations = {name: quantity.std for name, quantity in flat.items() if quantity.std is not None}
    around = tracked_numbers(stage, deviations, suffix="_std")
    with Tracker.join(family, tags={"level": "family"}) as tracker:
        tracker.log_summary(means.values | around.values, curves=[*means.curves, *around.curves])
