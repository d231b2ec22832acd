"""Measure the images of a run: distances to real images, precision and recall, reconstruction error."""

from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from lzn.base.randomness import BatchRandom, generator_for
from lzn.base.sections import Section
from lzn.data import dequantise, random_subset
from lzn.data.prepared import read_description, read_split
from lzn.metrics import reconstruction_error
from lzn.runs.samplers import SamplerParams
from lzn.runs.trained import TrainedRun, read_configuration, read_trained
from lzn.studies.generation import velocity_of
from stages.feature_extraction.read import read_comparison
from stages.measuring.quantity import Nested
from stages.measuring.real_images import random_real_images
from stages.measuring.recipes import write_recipes
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


def measure(call: StageCall) -> Nested:
    """Measure one seed; the real images are training images, the same for all runs (C.3).

    The numbers of unconditional images of case study 3 are in the mapping ``unconditional``.
    """
    data_name, seed = read_configuration(call.trained_folder).run.data, (call.item, call.run_seed)
    params: MeasureParams = call.params.section(f"measure.{data_name}", MeasureParams)
    numbers, reasons = _compare_with_real(call, data_name, params, call.outputs.images(*seed))
    measured: dict[str, float | Nested] = dict(numbers)
    unconditional = call.outputs.images(*seed, unconditional=True)
    if unconditional.exists():
        numbers, more = _compare_with_real(call, data_name, params, unconditional)
        measured["unconditional"] = numbers
        reasons |= {f"unconditional.{name}": reason for name, reason in more.items()}
    note_not_measured(call, "measure", reasons)
    return {
        **measured,
        "reconstruction": _reconstruct(call, params, read_trained(call.trained_folder)),
    }


def _compare_with_real(
    call: StageCall, data_name: str, params: MeasureParams, file: Path
) -> tuple[dict[str, float], dict[str, str]]:
    """Compare the images in ``file`` with as many real ones, or with all real ones if there are fewer.

    Return the numbers, and for those that cannot be computed the reasons.
    """
    prepared, network = (call.outputs.folder(stage, data_name) for stage in ("prepare", "features"))
    compare = read_comparison(network, device=call.device, cache=feature_cache())
    generated = np.load(file, mmap_mode="r")
    real = random_real_images(
        read_split(prepared, "train").images,
        len(generated),
        seed=params.seed,
    )
    write_recipes(
        call,
        "measure",
        compare.made_by(data_name=data_name),
        read_description(prepared),
        num_images=len(real),
        subset_seed=params.seed,
    )
    found = compare(real, generated, data_name=data_name, num_neighbours=params.num_neighbours)
    return (
        {name: number for name, number in found.items() if not isinstance(number, str)},
        {name: reason for name, reason in found.items() if isinstance(reason, str)},
    )


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
