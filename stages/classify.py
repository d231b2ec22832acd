"""Classify the test images with a run of case study 3, and cut a slice through its latent zones."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from lzn.base.sections import ParamsError, Section
from lzn.data import dequantise
from lzn.data.prepared import read_split
from lzn.flow import AnchorBank, Euler
from lzn.metrics import accuracy
from lzn.runs.configuration import AnyRun, JointRun
from lzn.runs.trained import read_trained
from lzn.studies import (
    LABEL_SOLVER,
    CentresInBank,
    CentresInBatch,
    classify_images,
    compute_reference_anchors,
    decode_labels,
    draw_label_latents,
)
from stages.measuring.quantity import NestedQuantities
from stages.measuring.seed_statistics import run_measuring_stage, trained_seeds
from stages.runtime.stage_main import StageCall


class ClassifyParams(Section):
    """How images of a data set are classified, and how fine the picture of the zones is."""

    batch_size: Annotated[int, Field(ge=1)]
    slice_points: Annotated[int, Field(ge=2)]
    """Points a side of the picture of the zones."""


def classify(call: StageCall) -> dict[str, float]:
    """The accuracy on the test images: in batches as in the paper, and of each image alone, as in inference.

    The zone of a single image is computed with reference anchors: see `lzn.studies.compute_reference_anchors`.
    """
    trained = read_trained(call.trained_folder)
    if not isinstance(trained.run, JointRun):
        raise ParamsError(
            f"{call.params.path}: run {call.item} has no labels: take it out of families.classifying"
        )
    params = _params(call, trained.run)
    folder = call.outputs.folder("prepare", trained.run.data)
    test, solver = read_split(folder, "test"), trained.run.latent.solver.build()
    model = trained.model.to(call.device)
    reference_anchors = compute_reference_anchors(
        model.encoder,
        read_split(folder, "train").images,
        training_batch_size=trained.run.training.batch_size,
        device=call.device,
    )
    measured = {}
    for name, latents_of in (
        ("accuracy", CentresInBatch(model.encoder, solver)),
        ("accuracy_alone", CentresInBank(model.encoder, AnchorBank(reference_anchors), solver)),
    ):
        predicted = classify_images(
            dequantise(test.images[:]).to(call.device),
            latents_of,
            model.label_anchors.points,
            label_solver=LABEL_SOLVER,
            batch_size=params.batch_size,
        )
        measured[name] = accuracy(predicted.cpu().numpy(), test.labels)
    return measured


def write_slice(call: StageCall, measured: NestedQuantities) -> Mapping[str, Path]:
    """For a picture: the class of each point of a plane through the latent space of the run's first seed."""
    trained = read_trained(call.outputs.seed_folder("train", call.item, trained_seeds(call)[0]))
    params = _params(call, trained.run)
    points = trained.model.label_anchors.points.to(call.device)
    solver = LABEL_SOLVER
    file = call.outputs.plot("classify", f"{call.item}.npy")
    file.parent.mkdir(parents=True, exist_ok=True)
    np.save(file, _slice_of_zones(points, solver, num_points=params.slice_points))
    return {}


def _params(call: StageCall, run: AnyRun) -> ClassifyParams:
    params: ClassifyParams = call.params.section(f"classify.{run.data}", ClassifyParams)
    return params


@torch.no_grad()
def _slice_of_zones(label_anchors: Tensor, label_solver: Euler, *, num_points: int) -> NDArray[np.uint8]:
    """Which class's zone each point of a plane through the latent space's origin lies in, (num_points, num_points).

    The plane is the one that the zones' centres spread in most; it reaches as far as most of the prior's mass does.
    """
    centres = draw_label_latents(
        label_anchors,
        torch.arange(len(label_anchors), device=label_anchors.device),
        torch.zeros_like(label_anchors),
        solver=label_solver,
    )
    plane = torch.linalg.svd(centres, full_matrices=False).Vh[:2]
    reach = label_anchors.shape[1] ** 0.5
    ticks = torch.linspace(-reach, reach, num_points, device=label_anchors.device)
    coordinates = torch.cartesian_prod(ticks, ticks)
    labels = decode_labels(coordinates @ plane, label_anchors, solver=label_solver)
    zones: NDArray[np.uint8] = labels.to(torch.uint8).reshape(num_points, num_points).cpu().numpy()
    return zones


if __name__ == "__main__":
    run_measuring_stage("classify", classify, extras=write_slice)
