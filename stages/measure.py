"""Measure the images of a run: distances to real images, precision and recall, reconstruction error."""

from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from lzn.base.randomness import BatchRandom, generator_for
from lzn.base.sections import Section
from lzn.data import dequantise, random_subset
from lzn.data.prepared import read_split
from lzn.metrics import reconstruction_error
from lzn.runs.samplers import SamplerParams
from lzn.runs.trained import TrainedRun, read_configuration, read_trained
from lzn.studies.generation import velocity_of
from stages.feature_extraction.comparison import Numbers
from stages.feature_extraction.read import read_comparison
from stages.measuring.real_images import random_real_images
from stages.measuring.seed_files import note_not_measured
from stages.measuring.seed_statistics import run_measuring_stage
from stages.runtime.outputs import feature_cache
from stages.runtime.stage_main import StageCall


class ReconstructionParams(Section):
    """The reconstruction error: random training images, the same for all runs, and draws of the latent for each."""

    num_images: Annotated[int, Field(ge=1)]
    num_draws: Annotated[int, Field(ge=1)]
    batch_size: Annotated[int, Field(ge=1)]
    """Images that are encoded and solved together; latents are drawn among all ``num_images``."""
    sampler: SamplerParams


class MeasureParams(Section):
    """The section ``measure.<data set>``."""

    seed: Annotated[int, Field(ge=0)]
    num_neighbours: Annotated[int, Field(ge=1)]
    """For precision and recall."""
    reconstruction: ReconstructionParams


def measure(call: StageCall) -> dict[str, float]:
    """Measure one seed; the real images are training images, the same for all runs (C.3)."""
    data_name = read_configuration(call.trained_folder).run.data
    params: MeasureParams = call.params.section(f"measure.{data_name}", MeasureParams)
    compared = _compare_with_real(call, data_name, params)
    reasons = {name: reason for name, reason in compared.items() if isinstance(reason, str)}
    note_not_measured(call, "measure", reasons)
    return {
        **{name: number for name, number in compared.items() if not isinstance(number, str)},
        "reconstruction": _reconstruct(call, params, read_trained(call.trained_folder)),
    }


def _compare_with_real(call: StageCall, data_name: str, params: MeasureParams) -> Numbers:
    """Compare the generated images with as many real ones, or with all real ones if there are fewer."""
    network = call.outputs.folder("features", data_name)
    compare = read_comparison(network, device=call.device, cache=feature_cache())
    generated = np.load(
        call.outputs.seed_folder("sample", call.item, call.run_seed) / "images.npy", mmap_mode="r"
    )
    real = random_real_images(
        read_split(call.outputs.folder("prepare", data_name), "train").images,
        len(generated),
        seed=params.seed,
    )
    return compare(real, generated, data_name=data_name, num_neighbours=params.num_neighbours)


@torch.no_grad()
def _reconstruct(call: StageCall, params: MeasureParams, trained: TrainedRun) -> float:
    """Compute the mean over images and draws of the distance between image and reconstruction, in [-1, 1] units."""
    settings = params.reconstruction
    data = read_split(call.outputs.folder("prepare", trained.run.data), "train")
    chosen = random_subset(len(data), settings.num_images, seed=params.seed).numpy()
    images = dequantise(data.images[chosen]).to(call.device)
    labels = torch.from_numpy(data.labels[chosen]).to(call.device)
    decoder = trained.model.to(call.device).decoder
    errors = []
    num_draws = 1 if trained.run.latent is None else settings.num_draws  # without latents all draws are equal
    with call.progress(total=num_draws, unit="draw") as bar:
        for draw in range(num_draws):
            generator = generator_for(
                params.seed, "reconstruction", trained.run.seed, draw, device=call.device
            )
            latents = _draw_latents(trained, images, generator, batch_size=settings.batch_size)
            for start in range(0, len(images), settings.batch_size):
                rows = slice(start, start + settings.batch_size)
                velocity = velocity_of(decoder, None if latents is None else latents[rows], labels[rows])
                errors.append(reconstruction_error(images[rows], velocity, sampler=settings.sampler.build()))
            bar.update(1)
    return float(torch.cat(errors).mean())


def _draw_latents(
    trained: TrainedRun, images: Tensor, generator: torch.Generator, *, batch_size: int
) -> Tensor | None:
    """Draw latents (n, q) from the zones of the images, at alpha = 1; None for runs without latents."""
    if trained.run.latent is None:
        return None
    anchors = torch.cat([trained.model.encoder(batch) for batch in torch.split(images, batch_size)])
    sampler = trained.run.latent.build().with_alpha(1.0)
    return sampler(anchors, BatchRandom.for_whole_batch(len(anchors), generator))


if __name__ == "__main__":
    run_measuring_stage("measure", measure)
