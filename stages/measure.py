"""Turn a run's images into numbers: distances to the real images, precision and recall, reconstruction error.

The numbers, and the grid of samples that they belong to, go to the run in MLflow.
"""

from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from tqdm import tqdm

from lzn.data import dequantise, random_subset
from lzn.metrics import (
    fit_gaussian,
    frechet_distance,
    median_bandwidth,
    mmd_squared,
    precision_recall,
    reconstruction_error,
)
from lzn.randomness import generator_for
from lzn.studies.generation import velocity_of
from stages.dataset_files import read_description, read_split, write_json
from stages.entry import StageCall, run_stage
from stages.in_domain_features import extract_features, read_classifier
from stages.params import Section, load_section
from stages.samplers import SamplerParams
from stages.tracking import Tracker
from stages.trained import TrainedRun, read_configuration, read_trained


class ReconstructionParams(Section):
    """Reconstruction error: random training images, the same for all runs, and draws of the latent for each."""

    num_images: Annotated[int, Field(ge=1)]
    num_draws: Annotated[int, Field(ge=1)]
    sampler: SamplerParams


class MeasureParams(Section):
    """How runs are measured."""

    seed: Annotated[int, Field(ge=0)]
    num_neighbours: Annotated[int, Field(ge=1)]
    reconstruction: ReconstructionParams


def measure(call: StageCall) -> None:
    """Write ``metrics.json``; the real set is the training set, all runs see the same of it (C.3)."""
    params: MeasureParams = load_section(call.params_file, "measure", MeasureParams)
    folder = call.workspace.folder("measure", call.item)
    train_folder = call.workspace.folder("train", call.item)
    measured = {
        **_compare_with_real(call, params),
        "reconstruction": _reconstruct(call, params, read_trained(train_folder)),
    }
    write_json(folder / "metrics.json", measured)
    with Tracker.join(read_configuration(train_folder).identity, tags={}) as tracker:
        tracker.log_summary({f"measure.{name}": value for name, value in measured.items()})
        tracker.log_image(call.workspace.folder("sample", call.item) / "grid.png", "samples/grid.png")
    print(f"{call.item}: " + ", ".join(f"{name} {value:.4g}" for name, value in measured.items()))


def _compare_with_real(call: StageCall, params: MeasureParams) -> dict[str, float]:
    """Distances between features of real and generated images, named after the classifier's data set."""
    data_folder = call.workspace.folder("prepare")
    name = read_description(data_folder).name
    classifier = read_classifier(call.workspace.folder("features"))
    real_images = read_split(data_folder, "train").images
    images = np.load(call.workspace.folder("sample", call.item) / "images.npy", mmap_mode="r")
    real = extract_features(classifier, real_images, call.device)
    generated = extract_features(classifier, images, call.device)
    shares = precision_recall(real, generated, num_neighbours=params.num_neighbours)
    return {
        f"fd_{name}": frechet_distance(fit_gaussian(real), fit_gaussian(generated)),
        f"mmd_{name}": mmd_squared(real, generated, sigma=median_bandwidth(real)),
        "precision": shares.precision,
        "recall": shares.recall,
    }


@torch.no_grad()
def _reconstruct(call: StageCall, params: MeasureParams, trained: TrainedRun) -> float:
    """Mean over images and draws of the distance between an image and its reconstruction, in [-1, 1] units."""
    settings = params.reconstruction
    data = read_split(call.workspace.folder("prepare"), "train")
    chosen = random_subset(len(data), settings.num_images, seed=params.seed).numpy()
    images = dequantise(data.images[chosen]).to(call.device)
    labels = torch.from_numpy(data.labels[chosen]).to(call.device)
    model = trained.model.to(call.device)
    sampler = settings.sampler.build()
    errors = []
    # Without latents nothing is drawn: every draw would be the same.
    num_draws = 1 if trained.run.latent is None else settings.num_draws
    for draw in tqdm(range(num_draws), desc=f"reconstruct {call.item}", unit="draw", disable=None):
        latent = None
        if trained.run.latent is not None:
            generator = generator_for(params.seed, "reconstruction", draw, device=call.device)
            draw_latents = trained.run.latent.build().with_alpha(1.0)
            latent = draw_latents(model.encoder(images), generator)
        errors.append(
            reconstruction_error(images, velocity_of(model.decoder, latent, labels), sampler=sampler)
        )
    return float(torch.stack(errors).mean())


if __name__ == "__main__":
    run_stage("measure", measure, of_a_run=True)
