"""Measure the distance to real images against the number of Euler steps of the sampler (Figures 17, 24)."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from lzn.base.nested import flatten
from lzn.base.sections import Section
from lzn.data import quantise
from lzn.data.prepared import read_description, read_split
from lzn.rectified_flow.ode import EulerSampler
from lzn.runs.trained import read_trained
from stages.feature_extraction.read import read_comparison
from stages.measuring.plot_rows import mean_and_std, write_plot_rows
from stages.measuring.quantity import NestedQuantities, Quantity, flatten_quantities
from stages.measuring.real_images import random_real_images
from stages.measuring.recipes import write_recipes
from stages.measuring.resumable_numbers import resumable_numbers
from stages.measuring.seed_statistics import run_measuring_stage
from stages.runtime.outputs import feature_cache
from stages.runtime.stage_main import StageCall
from stages.sampling.sampling import Sampling, random_labels, require_decoder


class StepsParams(Section):
    """The section ``steps.<data set>``."""

    seed: Annotated[int, Field(ge=0)]
    """Together with the run's seed, it determines noise and latents, the same for all numbers of steps."""
    num_images: Annotated[int, Field(ge=2)]
    """Images that are sampled for each number of steps."""
    batch_size: Annotated[int, Field(ge=1)]
    num_steps: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)]
    """The numbers of Euler steps."""


def measure_steps(call: StageCall) -> dict[str, dict[str, dict[str, float]]]:
    """Measure the distances of one seed, by name of the distance and then by number of steps."""
    trained = read_trained(call.trained_folder)
    require_decoder(call, trained)
    data_name = trained.run.data
    params: StepsParams = call.params.section(f"steps.{data_name}", StepsParams)
    prepared = call.outputs.folder("prepare", data_name)
    train = read_split(prepared, "train")
    real = random_real_images(train.images, params.num_images, seed=params.seed)
    sampling = Sampling(
        trained,
        seed=params.seed,
        batch_size=params.batch_size,
        shape=(train.images.shape[1], train.images.shape[2], train.images.shape[3]),
        device=call.device,
    )
    labels = random_labels(torch.from_numpy(train.labels), params.num_images, seed=params.seed)
    network = call.outputs.folder("features", data_name)
    comparison = read_comparison(network, device=call.device, cache=feature_cache())
    made_by = comparison.made_by(data_name=data_name)
    networks = [one.weights_sha256 for one in made_by.values()]
    write_recipes(
        call,
        "steps",
        made_by,
        read_description(prepared),
        num_images=len(real),
        subset_seed=params.seed,
    )

    def measure(num_steps: int) -> dict[str, float]:
        images = _sample_images(sampling, labels, num_steps=num_steps)
        return comparison.distance(real, images, data_name=data_name)

    distances: dict[str, dict[str, float]] = {}
    with (
        call.progress(total=sum(params.num_steps) * params.num_images, unit="evaluation") as bar,
        resumable_numbers(call, "steps", params, trained, depends_on=networks) as finished,
    ):
        for num_steps in params.num_steps:
            found = finished.numbers(str(num_steps), partial(measure, num_steps))
            for name, distance in flatten(found).items():
                distances.setdefault(name, {})[str(num_steps)] = distance
            bar.update(num_steps * params.num_images)
    return {"distance": distances}


def _sample_images(sampling: Sampling, labels: torch.Tensor, *, num_steps: int) -> NDArray[np.uint8]:
    """Sample images (n, c, h, w) for labels (n,) with Euler steps."""
    images = np.empty((len(labels), *sampling.shape), dtype=np.uint8)
    done = 0
    for batch in sampling.batches(labels, EulerSampler(num_steps=num_steps)):
        images[done : done + len(batch)] = quantise(batch)
        done += len(batch)
    return images


def write_curve_of_steps(call: StageCall, measured: NestedQuantities) -> Mapping[str, Path]:
    """Write the main distance of the paper's tables (FID), or the first other one, for DVC's plot."""
    distances: dict[str, dict[int, Quantity]] = {}
    for path, distance in flatten_quantities(measured).items():
        _, name, num_steps = path.split(".")
        distances.setdefault(name, {})[int(num_steps)] = distance
    shown = min(distances, key=lambda name: (name != "fid", name), default=None)
    by_steps = {} if shown is None else distances[shown]
    rows = [[num_steps, *mean_and_std(by_steps[num_steps])] for num_steps in sorted(by_steps)]
    file = call.outputs.plot("steps", f"{call.item}.csv")
    write_plot_rows(file, ["num_steps", "distance", "std"], rows)
    return {}


if __name__ == "__main__":
    run_measuring_stage("steps", measure_steps, extras=write_curve_of_steps)
