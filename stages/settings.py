"""How well a run of case study 3 classifies in other batch sizes, and off its zones' centres (Figure 25)."""

from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Annotated

from pydantic import Field

from lzn.base.randomness import generator_for
from lzn.base.sections import ParamsError, Section
from lzn.data import dequantise
from lzn.data.prepared import read_split
from lzn.metrics import accuracy
from lzn.runs.configuration import JointRun
from lzn.runs.trained import read_trained
from lzn.studies import LABEL_SOLVER, LatentsInBatch, classify_images
from stages.measuring.plot_rows import mean_and_std, write_plot_rows
from stages.measuring.quantity import NestedQuantities, flatten_quantities
from stages.measuring.seed_statistics import run_measuring_stage
from stages.runtime.stage_main import StageCall


class SettingsParams(Section):
    """The batch sizes and alphas; accuracy is measured with each pair of them."""

    seed: Annotated[int, Field(ge=0)]
    """With the run's seed it decides the latents' noise, which is the same for all alphas."""
    batch_sizes: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)]
    """Test images whose zones are computed together; more than there are is as many as there are."""
    alphas: Annotated[tuple[Annotated[float, Field(ge=0, le=1)], ...], Field(min_length=1)]
    """How far from its zone's centre a latent is drawn: 0 is the centre, 1 the whole zone (A.2)."""


def measure_settings(call: StageCall) -> dict[str, dict[str, dict[str, float]]]:
    """Accuracies on the test images of one seed: by batch size, then by alpha."""
    trained = read_trained(call.trained_folder)
    if not isinstance(trained.run, JointRun):
        raise ParamsError(
            f"{call.params.path}: run {call.item} has no labels: take it out of families.classifying"
        )
    data_name = trained.run.data
    params: SettingsParams = call.params.section(f"settings.{data_name}", SettingsParams)
    test = read_split(call.outputs.folder("prepare", data_name), "test")
    images = dequantise(test.images[:]).to(call.device)
    model = trained.model.to(call.device)
    solver = trained.run.latent.solver.build()
    accuracies: dict[str, dict[str, float]] = {str(size): {} for size in params.batch_sizes}
    with call.progress(total=len(params.batch_sizes) * len(params.alphas), unit="setting") as bar:
        for size, alpha in product(params.batch_sizes, params.alphas):
            generator = generator_for(params.seed, "settings", trained.run.seed, size, device=call.device)
            predicted = classify_images(
                images,
                LatentsInBatch(model.encoder, solver, alpha, generator),
                model.label_anchors.points,
                label_solver=LABEL_SOLVER,
                batch_size=size,
            )
            accuracies[str(size)][f"{alpha:g}"] = accuracy(predicted.cpu().numpy(), test.labels)
            bar.update(1)
    return {"accuracy": accuracies}


def write_heat_map(call: StageCall, measured: NestedQuantities) -> Mapping[str, Path]:
    """For DVC's plot: a row for each pair."""
    rows = []
    for path, found in flatten_quantities(measured).items():
        _, size, alpha = path.split(".", maxsplit=2)
        rows.append([int(size), float(alpha), *mean_and_std(found)])
    rows.sort(key=lambda row: row[:2])
    file = call.outputs.plot("settings", f"{call.item}.csv")
    write_plot_rows(file, ["batch_size", "alpha", "accuracy", "std"], rows)
    return {}


if __name__ == "__main__":
    run_measuring_stage("settings", measure_settings, extras=write_heat_map)
