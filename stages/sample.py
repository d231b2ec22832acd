"""Draw images from a trained run, once, for all metrics and figures; killed, it goes on from the last batch."""

import hashlib
import json
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
from stages.growing_images import GrowingImages
from stages.params import ParamsError, Section, load_section
from stages.provenance import code_fingerprint
from stages.runs import JointRun, RepresentationRun
from stages.samplers import SamplerParams
from stages.trained import WEIGHTS, TrainedRun, read_trained

GRID_COLUMNS = 10
GRID_ROWS = 5
GRID_PIXELS = 48
"""Images of a grid are magnified to about this size."""


class SampleParams(Section):
    """How images of a data set are drawn."""

    seed: Annotated[int, Field(ge=0)]
    num_images: Annotated[int, Field(ge=1)] | None = None
    """None: as many as there are training images."""
    batch_size: Annotated[int, Field(ge=1)]
    sampler: SamplerParams
    label_solver_steps: Annotated[int, Field(ge=1)]
    """Euler steps of the label flow (section 5: 100)."""


def sample(call: StageCall) -> None:
    """Write ``images.npy`` (uint8), their ``labels.npy``, and a grid of samples."""
    trained = read_trained(call.workspace.folder("train", call.item))
    if isinstance(trained.run, RepresentationRun) or (
        isinstance(trained.run, JointRun) and not trained.run.generate
    ):
        raise ParamsError(
            f"{call.params_file}: run {call.item} has no image decoder: take it out of families.generative"
        )
    data_name = trained.run.data
    params: SampleParams = load_section(call.params_file, f"sample.{data_name}", SampleParams)
    data_folder = call.workspace.folder("prepare", data_name)
    labels = _labels(read_split(data_folder, "train").labels, params)
    unfinished = call.workspace.checkpoints(f"sample-{call.item}", _key(trained, params, call))
    shape = read_description(data_folder).image_shape
    drawn = GrowingImages.open(unfinished, (len(labels), *shape))
    _draw(trained, params, labels, drawn, call, shape=shape)
    folder = call.workspace.folder("sample", call.item)
    images = drawn.deliver(folder)
    np.save(folder / "labels.npy", labels.numpy())
    grid = _first_of_each_class(labels) if _has_classes(trained) else torch.arange(GRID_COLUMNS * GRID_ROWS)
    file = call.workspace.plot("sample", f"{call.item}.png")
    file.parent.mkdir(parents=True, exist_ok=True)
    _save_grid(images[grid[grid < len(images)].numpy()], file)


def _key(trained: TrainedRun, params: SampleParams, call: StageCall) -> str:
    """Hash of all that decides the images: weights, settings and code."""
    weights = call.workspace.folder("train", call.item) / WEIGHTS
    content = [
        trained.configuration.key,
        hashlib.sha256(weights.read_bytes()).hexdigest(),
        params.model_dump(mode="json"),
        code_fingerprint("stages.sample"),
    ]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _labels(labels: NDArray[np.int64], params: SampleParams) -> Tensor:
    """The labels that conditional runs draw images for: those of as many training images, a random subset of them."""
    if params.num_images is None or params.num_images == len(labels):
        return torch.from_numpy(labels)
    generator = generator_for(params.seed, "labels")
    return torch.from_numpy(labels)[torch.randint(len(labels), (params.num_images,), generator=generator)]


def _has_classes(trained: TrainedRun) -> bool:
    return bool(trained.model.decoder.num_classes > 0)


def _draw(
    trained: TrainedRun,
    params: SampleParams,
    labels: Tensor,
    images: GrowingImages,
    call: StageCall,
    *,
    shape: tuple[int, int, int],
) -> None:
    """Draw what ``images`` still lacks, batch by batch; conditional runs draw each from its label's class."""
    model = trained.model.to(call.device)
    done = images.num_finished
    with tqdm(total=len(labels), initial=done, desc=f"sample {call.item}", unit="image", disable=None) as bar:
        for start in range(done, len(labels), params.batch_size):
            rows = slice(start, start + params.batch_size)
            chosen = labels[rows].to(call.device)
            generator = generator_for(params.seed, "sample", start, device=call.device)
            noise = torch.randn(len(chosen), *shape, generator=generator, device=call.device)
            drawn = generate_images(
                model.decoder,
                latents=_draw_latents(trained, chosen, generator, num_steps=params.label_solver_steps),
                labels=chosen if _has_classes(trained) else None,
                noise=noise,
                sampler=params.sampler.build(),
            )
            images.append(quantise(drawn))
            bar.update(len(chosen))


def _draw_latents(
    trained: TrainedRun, labels: Tensor, generator: torch.Generator, *, num_steps: int
) -> Tensor | None:
    """Latents of the class's zone where labels have zones, of the prior where not, none for plain rectified flow."""
    latent_dim = trained.model.decoder.latent_dim
    if latent_dim == 0:
        return None
    noise = torch.randn(len(labels), latent_dim, generator=generator, device=labels.device)
    if isinstance(trained.run, JointRun):
        anchors = trained.model.label_anchors.points.detach()
        return draw_label_latents(anchors, labels, noise, solver=Euler(num_steps=num_steps))
    return noise


def _first_of_each_class(labels: Tensor) -> Tensor:
    """Indices of the first `GRID_ROWS` images of each of the first `GRID_COLUMNS` classes, class by column.

    Classes of which too few were drawn leave out their column.
    """
    columns = [(labels == label).nonzero()[:GRID_ROWS, 0] for label in torch.unique(labels)]
    full = [column for column in columns if len(column) == GRID_ROWS][:GRID_COLUMNS]
    return torch.stack(full, dim=1).flatten() if full else torch.arange(GRID_COLUMNS)


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
