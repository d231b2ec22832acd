"""Draw as many images from a trained run as there are real ones, once, for all metrics and figures."""

from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor
from torchvision.utils import save_image
from tqdm import tqdm

from lzn.data import dequantise, quantise
from lzn.flow import Euler
from lzn.randomness import generator_for
from lzn.studies import draw_label_latents, generate_images
from stages.dataset_files import read_description, read_split
from stages.entry import StageCall, run_stage
from stages.params import ParamsError, Section, load_section
from stages.runs import JointRun, RepresentationRun
from stages.samplers import SamplerParams
from stages.trained import TrainedRun, read_trained

GRID_COLUMNS = 10
GRID_ROWS = 5
GRID_PIXELS = 48
"""Images of a grid are magnified to about this size."""


class SampleParams(Section):
    """How images are drawn."""

    seed: Annotated[int, Field(ge=0)]
    batch_size: Annotated[int, Field(ge=1)]
    sampler: SamplerParams
    label_solver_steps: Annotated[int, Field(ge=1)]
    """Euler steps of the label flow (section 5: 100)."""


def sample(call: StageCall) -> None:
    """Write ``images.npy`` (uint8), their ``labels.npy``, and sample grids."""
    params: SampleParams = load_section(call.params_file, "sample", SampleParams)
    trained = read_trained(call.workspace.folder("train", call.item))
    if isinstance(trained.run, RepresentationRun) or (
        isinstance(trained.run, JointRun) and not trained.run.generate
    ):
        raise ParamsError(
            f"{call.params_file}: run {call.item} has no image decoder: take it out of families.generative"
        )
    data_folder = call.workspace.folder("prepare")
    shape = read_description(data_folder).image_shape
    labels = torch.from_numpy(read_split(data_folder, "train").labels)
    folder = call.workspace.folder("sample", call.item)
    folder.mkdir(parents=True, exist_ok=True)

    images = _draw(trained, params, labels, shape, call, description=f"sample {call.item}")
    np.save(folder / "images.npy", images)
    np.save(folder / "labels.npy", labels.numpy())
    grid = _first_of_each_class(labels) if _has_classes(trained) else torch.arange(GRID_COLUMNS * GRID_ROWS)
    _save_grid(images[grid.numpy()], folder / "grid.png")


def _has_classes(trained: TrainedRun) -> bool:
    return bool(trained.model.decoder.num_classes > 0)


def _draw(
    trained: TrainedRun,
    params: SampleParams,
    labels: Tensor,
    shape: tuple[int, int, int],
    call: StageCall,
    *,
    description: str,
) -> NDArray[np.uint8]:
    """As many images as labels; conditional runs draw each from its label's class."""
    generator = generator_for(params.seed, "sample")
    noise = torch.randn(len(labels), *shape, generator=generator)
    latents = _draw_latents(trained, labels, generator, num_steps=params.label_solver_steps)
    decoder = trained.model.decoder.to(call.device)
    batches = generate_images(
        decoder,
        latents=None if latents is None else latents.to(call.device),
        labels=labels.to(call.device) if _has_classes(trained) else None,
        noise=noise.to(call.device),
        sampler=params.sampler.build(),
        batch_size=params.batch_size,
    )
    parts = []
    with tqdm(total=len(labels), desc=description, unit="image", disable=None) as bar:
        for batch in batches:
            parts.append(quantise(batch))
            bar.update(len(batch))
    return np.concatenate(parts)


def _draw_latents(
    trained: TrainedRun, labels: Tensor, generator: torch.Generator, *, num_steps: int
) -> Tensor | None:
    """Latents of the class's zone where labels have zones, of the prior where not, none for plain rectified flow."""
    latent_dim = trained.model.decoder.latent_dim
    if latent_dim == 0:
        return None
    noise = torch.randn(len(labels), latent_dim, generator=generator)
    if isinstance(trained.run, JointRun):
        anchors = trained.model.label_anchors.points.detach()
        return draw_label_latents(anchors, labels, noise, solver=Euler(num_steps=num_steps))
    return noise


def _first_of_each_class(labels: Tensor) -> Tensor:
    """Indices of the first `GRID_ROWS` images of each of the first `GRID_COLUMNS` classes, class by column."""
    classes = torch.arange(int(labels.max()) + 1)[:GRID_COLUMNS]
    columns = [(labels == label).nonzero()[:GRID_ROWS, 0] for label in classes]
    return torch.stack(columns, dim=1).flatten()


def _save_grid(images: NDArray[np.uint8], file: object) -> None:
    magnification = max(1, GRID_PIXELS // images.shape[-1])
    large = (
        (dequantise(images) + 1)
        .div(2)
        .repeat_interleave(magnification, 2)
        .repeat_interleave(magnification, 3)
    )
    save_image(large, file, nrow=GRID_COLUMNS, padding=2, pad_value=1.0)


if __name__ == "__main__":
    run_stage("sample", sample, of_a_run=True)
