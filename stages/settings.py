"""Measure the accuracy of a run of case study 3 for several batch sizes and alphas (Figure 25)."""

from collections.abc import Mapping
from functools import partial
from itertools import product
from pathlib import Path
from typing import Annotated

from pydantic import Field

from lzn.base.randomness import generator_for
from lzn.base.sections import Section
from lzn.runs.configuration import JointRun
from lzn.runs.trained import read_trained
from lzn.studies import LatentsInBatch
from stages.measuring.classification import ClassifiedImages
from stages.measuring.plot_rows import mean_and_std, write_plot_rows
from stages.measuring.quantity import NestedQuantities, flatten_quantities
from stages.measuring.resumable_numbers import resumable_numbers
from stages.measuring.seed_statistics import run_measuring_stage
from stages.runtime.families import require_study
from stages.runtime.stage_main import StageCall


class SettingsParams(Section):
    """The section ``settings.<data set>``; accuracy is measured for each pair of batch size and alpha."""

    seed: Annotated[int, Field(ge=0)]
    """Together with the run's seed, it determines the noise of latents, which is the same for all alphas."""
    batch_sizes: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)]
    """Test images whose zones are computed together; at most the whole test set."""
    alphas: Annotated[tuple[Annotated[float, Field(ge=0, le=1)], ...], Field(min_length=1)]
    """The distance of latents from the centre of their zone: 0 is the centre, 1 the whole zone (A.2)."""


def measure_settings(call: StageCall) -> dict[str, dict[str, dict[str, float]]]:
    """Measure the test accuracy of one seed, by batch size and then by alpha."""
    trained = read_trained(call.trained_folder)
    run = require_study(call, trained, JointRun, family="classifying")
    params: SettingsParams = call.params.section(f"settings.{run.data}", SettingsParams)
    encoder = trained.model.to(call.device).encoder
    test, solver = ClassifiedImages.of(call, trained), run.latent.solver.build()
    accuracies: dict[str, dict[str, float]] = {str(size): {} for size in params.batch_sizes}

    def measure(size: int, alpha: float) -> float:
        generator = generator_for(params.seed, "settings", run.seed, size, device=call.device)
        latents_of = LatentsInBatch(encoder, solver, alpha, generator)
        return test.accuracy(latents_of, batch_size=size)

    settings = list(product(params.batch_sizes, params.alphas))
    with (
        call.progress(total=len(settings), unit="setting") as bar,
        resumable_numbers(call, "settings", params, trained) as finished,
    ):
        for size, alpha in settings:
            name = f"{size}-{alpha:g}"
            accuracies[str(size)][f"{alpha:g}"] = finished.number(name, partial(measure, size, alpha))
            bar.update(1)
    return {"accuracy": accuracies}


def write_accuracies(call: StageCall, measured: NestedQuantities) -> Mapping[str, Path]:
    """Write one row for each pair of batch size and alpha, for DVC's plot."""
    rows = []
    for path, accuracy in flatten_quantities(measured).items():
        _, size, alpha = path.split(".", maxsplit=2)
        rows.append([int(size), float(alpha), *mean_and_std(accuracy)])
    rows.sort(key=lambda row: row[:2])
    file = call.outputs.plot("settings", f"{call.item}.csv")
    write_plot_rows(file, ["batch_size", "alpha", "accuracy", "std"], rows)
    return {}


if __name__ == "__main__":
    run_measuring_stage("settings", measure_settings, extras=write_accuracies)
