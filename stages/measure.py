"""Turn a run's images into numbers: distances to the real images, precision and recall, reconstruction error."""

from typing import Annotated

import numpy as np
import torch
from pydantic import Field

from lzn.base.randomness import BatchRandom, generator_for
from lzn.base.sections import Section
from lzn.data import ImageSubset, dequantise, random_subset
from lzn.data.prepared import read_split
from lzn.metrics import reconstruction_error
from lzn.runs.samplers import SamplerParams
from lzn.runs.trained import TrainedRun, read_configuration, read_trained
from lzn.studies.generation import velocity_of
from stages.feature_extraction.read import read_comparison
from stages.measuring.seed_statistics import run_measuring_stage
from stages.runtime.stage_main import StageCall


class ReconstructionParams(Section):
    """Reconstruction error: random training images, the same for all runs, and draws of the latent for each."""

    num_images: Annotated[int, Field(ge=1)]
    num_draws: Annotated[int, Field(ge=1)]
    batch_size: Annotated[int, Field(ge=1)]
    """Images solved at once; their latents are drawn among all of ``num_images``."""
    sampler: SamplerParams


class MeasureParams(Section):
    """How runs of a data set are measured."""

    seed: Annotated[int, Field(ge=0)]
    num_neighbours: Annotated[int, Field(ge=1)]
    reconstruction: ReconstructionParams


def measure(call: StageCall) -> dict[str, float]:
    """The numbers of one seed; the real set is the training set, all runs see the same of it (C.3)."""
    data_name = read_configuration(call.trained_folder).run.data
    params: MeasureParams = call.params.section(f"measure.{data_name}", MeasureParams)
    return {
        **_compare_with_real(call, data_name, params),
        "reconstruction": _reconstruct(call, params, read_trained(call.trained_folder)),
    }


def _compare_with_real(call: StageCall, data_name: str, params: MeasureParams) -> dict[str, float]:
    """As many real images as generated ones, chosen at random where there are more."""
    network = call.outputs.folder("features", data_name)
    compare = read_comparison(network, device=call.device, cache=call.outputs.feature_cache())
    real = read_split(call.outputs.folder("prepare", data_name), "train").images
    folder = call.outputs.seed_folder("sample", call.item, call.known_seed)
    generated = np.load(folder / "images.npy", mmap_mode="r")
    if len(generated) < len(real):
        real = ImageSubset(real, random_subset(len(real), len(generated), seed=params.seed).numpy())
    return compare(real, generated, data_name=data_name, num_neighbours=params.num_neighbours)


@torch.no_grad()
def _reconstruct(call: StageCall, params: MeasureParams, trained: TrainedRun) -> float:
    """Mean over images and draws of the distance between an image and its reconstruction, in [-1, 1] units."""
    settings = params.reconstruction
    data = read_split(call.outputs.folder("prepare", trained.run.data), "train")
    chosen = random_subset(len(data), settings.num_images, seed=params.seed).numpy()
    images = dequantise(data.images[chosen]).to(call.device)
    labels = torch.from_numpy(data.labels[chosen]).to(call.device)
    model = trained.model.to(call.device)
    errors = []
    # Without latents nothing is drawn: every draw would be the same.
    num_draws = 1 if trained.run.latent is None else settings.num_draws
    with call.progress(total=num_draws, unit="draw") as bar:
        for draw in range(num_draws):
            latents = None
            if trained.run.latent is not None:
                generator = generator_for(
                    params.seed, "reconstruction", trained.run.seed, draw, device=call.device
                )
                anchors = torch.cat(
                    [model.encoder(batch) for batch in torch.split(images, settings.batch_size)]
                )
                latents = trained.run.latent.build().with_alpha(1.0)(
                    anchors, BatchRandom.for_whole_batch(len(anchors), generator)
                )
            for start in range(0, len(images), settings.batch_size):
                rows = slice(start, start + settings.batch_size)
                velocity = velocity_of(
                    model.decoder, None if latents is None else latents[rows], labels[rows]
                )
                errors.append(reconstruction_error(images[rows], velocity, sampler=settings.sampler.build()))
            bar.update(1)
    return float(torch.cat(errors).mean())


if __name__ == "__main__":
    run_measuring_stage("measure", measure)
