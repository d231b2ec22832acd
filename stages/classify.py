"""Classify the test images with a run of case study 3, and compute a plane through its latent zones."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from lzn.base.files import write_array
from lzn.base.sections import Section
from lzn.data.prepared import read_split
from lzn.flow import LABEL_SOLVER, AnchorBank, Euler, decode_labels, draw_label_latents
from lzn.runs.configuration import AnyRun, JointRun
from lzn.runs.trained import read_trained
from lzn.studies import CentresInBank, CentresInBatch, compute_reference_anchors
from lzn.studies.joint import LatentsOfImages
from stages.measuring.classification import ClassifiedImages
from stages.measuring.quantity import NestedQuantities
from stages.measuring.resumable_numbers import resumable_numbers
from stages.measuring.seed_statistics import run_measuring_stage, trained_seeds
from stages.runtime.families import require_study
from stages.runtime.stage_main import StageCall


class ClassifyParams(Section):
    """The section ``classify.<data set>``: how images are classified, and the resolution of the picture of zones."""

    batch_size: Annotated[int, Field(ge=1)]
    slice_points: Annotated[int, Field(ge=2)]
    """Points per side of the picture of the zones."""


def classify(call: StageCall) -> dict[str, float]:
    """Measure the test accuracy of one seed: in batches as in the paper, and of each image alone as in inference.

    The zone of a single image is computed with reference anchors: see `lzn.studies.compute_reference_anchors`.
    """
    trained = read_trained(call.trained_folder)
    run = require_study(call, trained, JointRun, family="classifying")
    params = _read_params(call, run)
    encoder = trained.model.to(call.device).encoder
    solver = run.latent.solver.build()
    reference_anchors = compute_reference_anchors(
        encoder,
        read_split(call.outputs.folder("prepare", run.data), "train").images,
        training_batch_size=run.training.batch_size,
        device=call.device,
    )
    test = ClassifiedImages.of(call, trained)
    ways: dict[str, LatentsOfImages] = {
        "accuracy": CentresInBatch(encoder, solver),
        "accuracy_alone": CentresInBank(encoder, AnchorBank(reference_anchors), solver),
    }
    with resumable_numbers(call, "classify", params, trained) as finished:
        return {
            name: finished.number(name, partial(test.accuracy, latents_of, batch_size=params.batch_size))
            for name, latents_of in ways.items()
        }


def write_zones_of_plane(call: StageCall, measured: NestedQuantities) -> Mapping[str, Path]:
    """Write the class of each point of a plane through the latent space of the run's first seed, for a picture."""
    trained = read_trained(call.outputs.seed_folder("train", call.item, trained_seeds(call)[0]))
    params = _read_params(call, trained.run)
    points = trained.model.label_anchors.points.to(call.device)
    file = call.outputs.plot("classify", f"{call.item}.npy")
    file.parent.mkdir(parents=True, exist_ok=True)
    write_array(file, _zones_of_plane(points, LABEL_SOLVER, num_points=params.slice_points))
    return {}


def _read_params(call: StageCall, run: AnyRun) -> ClassifyParams:
    params: ClassifyParams = call.params.section(f"classify.{run.data}", ClassifyParams)
    return params


@torch.no_grad()
def _zones_of_plane(label_anchors: Tensor, label_solver: Euler, *, num_points: int) -> NDArray[np.int32]:
    """Return the class of each point of a plane through the origin of the latent space, (num_points, num_points).

    The plane is spanned by the first two principal directions of the zones' centres. It covers [-sqrt(q), sqrt(q)] in
    both directions, because latents have a norm of about sqrt(q).
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
    zones: NDArray[np.int32] = labels.int().reshape(num_points, num_points).cpu().numpy()
    return zones


if __name__ == "__main__":
    run_measuring_stage("classify", classify, extras=write_zones_of_plane)
