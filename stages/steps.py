"""How far a run's images are from the real ones, against the number of Euler steps that drew them (Figures 17, 24)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from lzn.base.sections import Section
from lzn.data import ImageSubset, quantise, random_subset
from lzn.data.prepared import read_split
from lzn.rectified_flow.ode import EulerSampler
from lzn.runs.trained import read_trained
from stages.feature_extraction.read import read_comparison
from stages.measuring.plot_rows import mean_and_std, write_plot_rows
from stages.measuring.quantity import NestedQuantities, Quantity, flatten_quantities
from stages.measuring.seed_statistics import run_measuring_stage
from stages.runtime.stage_main import StageCall
from stages.sampling.drawing import Sampling, random_labels, require_decoder


class StepsParams(Section):
    """How images of a data set are drawn with different numbers of steps."""

    seed: Annotated[int, Field(ge=0)]
    """With the run's seed it decides noise and latents, the same for all numbers of steps and for all runs."""
    num_images: Annotated[int, Field(ge=2)]
    """Images that are drawn with each number of steps."""
    batch_size: Annotated[int, Field(ge=1)]
    num_steps: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)]
    """The numbers of Euler steps."""


def measure_steps(call: StageCall) -> dict[str, dict[str, dict[str, float]]]:
    """Distances of one seed: by name of the distance, then by number of steps."""
    trained = read_trained(call.trained_folder)
    require_decoder(trained)
    data_name = trained.run.data
    params: StepsParams = call.params.section(f"steps.{data_name}", StepsParams)
    train = read_split(call.outputs.folder("prepare", data_name), "train")
    real = train.images
    if params.num_images < len(real):  # as many as there are drawn, the same for all runs
        real = ImageSubset(real, random_subset(len(real), params.num_images, seed=params.seed).numpy())
    sampling = Sampling(
        trained,
        seed=params.seed,
        batch_size=params.batch_size,
        shape=(train.images.shape[1], train.images.shape[2], train.images.shape[3]),
        device=call.device,
    )
    labels = random_labels(torch.from_numpy(train.labels), params.num_images, seed=params.seed)
    network = call.outputs.folder("features", data_name)
    comparison = read_comparison(network, device=call.device, cache=call.outputs.feature_cache())
    distances: dict[str, dict[str, float]] = {}
    with call.progress(total=sum(params.num_steps) * params.num_images, unit="evaluation") as bar:
        for num_steps in params.num_steps:
            images = np.empty((params.num_images, *sampling.shape), dtype=np.uint8)
            draw_into(images, sampling, labels, num_steps=num_steps)
            found = comparison.distance(real, images, data_name=data_name)
            for name, distance in found.items():
                distances.setdefault(name, {})[str(num_steps)] = distance
            bar.update(num_steps * params.num_images)
    return {"distance": distances}


def draw_into(images: NDArray[np.uint8], sampling: Sampling, labels: torch.Tensor, *, num_steps: int) -> None:
    """Fill ``images`` (n, c, h, w) with Euler's, for labels (n,)."""
    done = 0
    for batch in sampling.batches(labels, EulerSampler(num_steps=num_steps)):
        images[done : done + len(batch)] = quantise(batch)
        done += len(batch)


def write_curve_of_steps(call: StageCall, measured: NestedQuantities) -> Mapping[str, Path]:
    """For DVC's plot: the distance that heads the paper's tables (FID), or the first where there is another one."""
    found: dict[str, dict[int, Quantity]] = {}
    for path, distance in flatten_quantities(measured).items():
        _, name, num_steps = path.split(".")
        found.setdefault(name, {})[int(num_steps)] = distance
    shown = min(found, key=lambda name: (name != "fid", name), default=None)
    by_steps = {} if shown is None else found[shown]
    rows = [[num_steps, *mean_and_std(by_steps[num_steps])] for num_steps in sorted(by_steps)]
    file = call.outputs.plot("steps", f"{call.item}.csv")
    write_plot_rows(file, ["num_steps", "distance", "std"], rows)
    return {}


if __name__ == "__main__":
    run_measuring_stage("steps", measure_steps, extras=write_curve_of_steps)
