"""Classify the test images with a run of case study 3, and draw latents for the picture of its zones."""

from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from lzn.data import dequantise
from lzn.flow import Euler
from lzn.metrics import accuracy
from lzn.randomness import generator_for
from lzn.studies import JointModel, classify_images, draw_label_latents
from stages.dataset_files import read_split, write_json
from stages.entry import StageCall, run_stage
from stages.params import ParamsError, Section, load_section
from stages.runs import JointRun
from stages.tracking import Tracker
from stages.trained import read_trained


class ClassifyParams(Section):
    """How images are classified, and what is drawn for the picture of the zones."""

    batch_size: Annotated[int, Field(ge=1)]
    label_solver_steps: Annotated[int, Field(ge=1)]
    """Euler steps of the label flow (section 5: 100)."""
    latents_per_class: Annotated[int, Field(ge=1)]
    seed: Annotated[int, Field(ge=0)]


def classify(call: StageCall) -> None:
    """Write ``metrics.json``, and ``zones.npz``: latents of the test images and of the classes' zones."""
    params: ClassifyParams = load_section(call.params_file, "classify", ClassifyParams)
    trained = read_trained(call.workspace.folder("train", call.item))
    if not isinstance(trained.run, JointRun):
        raise ParamsError(
            f"{call.params_file}: run {call.item} has no labels: take it out of families.classifying"
        )
    test = read_split(call.workspace.folder("prepare"), "test")
    images = dequantise(test.images).to(call.device)
    label_solver = Euler(num_steps=params.label_solver_steps)
    model = trained.model.to(call.device)
    predicted = classify_images(
        model.encoder,
        images,
        model.label_anchors.points,
        latent_solver=trained.run.latent.solver.build(),
        label_solver=label_solver,
        batch_size=params.batch_size,
    )
    measured = {"accuracy": accuracy(predicted.cpu().numpy(), test.labels)}
    folder = call.workspace.folder("classify", call.item)
    write_json(folder / "metrics.json", measured)
    zones = _draw_zones(trained.run, trained.model, images, label_solver, params)
    arrays: dict[str, Any] = {name: latents.cpu().numpy() for name, latents in zones.items()}
    arrays["image_labels"] = test.labels
    with (folder / "zones.npz").open("wb") as stream:
        np.savez(stream, **arrays)
    with Tracker.join(trained.configuration.identity, tags={}) as tracker:
        tracker.log_summary({f"classify.{name}": value for name, value in measured.items()})
    print(f"{call.item}: test accuracy {measured['accuracy']:.4f}")


@torch.no_grad()
def _draw_zones(
    run: JointRun, model: JointModel, images: Tensor, label_solver: Euler, params: ClassifyParams
) -> dict[str, Tensor]:
    """A latent of every image, and latents from the zone of every class with the class."""
    generator = generator_for(params.seed, "zones", device=images.device)
    anchors = model.label_anchors.points
    draw_latents = run.latent.build().with_alpha(1.0)
    labels = torch.arange(len(anchors), device=images.device).repeat(params.latents_per_class)
    noise = torch.randn(len(labels), anchors.shape[1], generator=generator, device=images.device)
    return {
        "image_latents": draw_latents(model.encoder(images), generator),
        "label_latents": draw_label_latents(anchors, labels, noise, solver=label_solver),
        "labels": labels,
    }


if __name__ == "__main__":
    run_stage("classify", classify, of_a_run=True)
