"""Reconstruction of images: the image ODE from an image to noise and back (appendix C.3)."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lzn.data import dequantise, quantise
from lzn.inference.abilities import Ability
from lzn.inference.classification import classify
from lzn.inference.embedding import embed
from lzn.inference.errors import UserError
from lzn.inference.images import Images
from lzn.inference.loaded_run import LoadedRun, OnProgress
from lzn.inference.sampling import OdeSettings, check_classes, ode_errors_as_user_errors
from lzn.rectified_flow.ode import Sampler
from lzn.rectified_flow.path import T_MIN, Velocity
from lzn.studies.generation import velocity_of

_BATCH_SIZE = 64


@dataclass(frozen=True)
class Reconstruction:
    """Reconstructed images.

    Attributes:
        images: uint8 (n, c, h, w).
        errors: (n,): L2 distance of each image to its original for one draw of z, with pixels in [-1, 1] (C.3).
        labels: (n,): the class that the decoder was given, None if it takes no class.
    """

    images: Images
    errors: NDArray[np.float64]
    labels: NDArray[np.int64] | None


@torch.no_grad()
def reconstruct(
    run: LoadedRun,
    images: Images,
    *,
    label: int | None = None,
    seed: int = 0,
    ode: OdeSettings = OdeSettings(),  # noqa: B008 - immutable
    on_progress: OnProgress = lambda _: None,
) -> Reconstruction:
    """Solve the image ODE from images to noise and back, with z drawn from the zone of each image.

    Images are solved in batches of 64. The other images of a batch change a result by rounding, and with RK45 by up to
    its tolerance.

    Args:
        run: a run with a decoder.
        images: the images to reconstruct.
        label: the class of all images; None for the class that the run predicts.
        seed: random seed of z.
        ode: how both directions are solved.
        on_progress: receives the number of finished images.

    Raises:
        UserError: the run has no decoder, ``label`` is unknown or missing for a run that cannot classify, or the ODE
            solver failed.
    """
    run.facts.require(Ability.RECONSTRUCT)
    labels = _labels(run, images, label)
    latents = torch.from_numpy(embed(run, images, seed=seed)["latent"]) if run.facts.has_encoder else None
    parts = []
    sampler = ode.build(num_solutions=2 * math.ceil(len(images) / _BATCH_SIZE))  # to noise and back
    for start in range(0, len(images), _BATCH_SIZE):
        rows = slice(start, start + _BATCH_SIZE)
        velocity = velocity_of(
            run.trained.model.decoder,
            None if latents is None else latents[rows].to(run.device),
            None if labels is None else torch.from_numpy(labels[rows]).to(run.device),
        )
        parts.append(_to_noise_and_back(dequantise(images[rows]).to(run.device), velocity, sampler))
        on_progress(len(parts[-1]))
    reconstructed = torch.cat(parts)
    differences = (reconstructed - dequantise(images)).double().flatten(1)
    return Reconstruction(quantise(reconstructed), differences.norm(dim=1).numpy(), labels)


def _labels(run: LoadedRun, images: Images, label: int | None) -> NDArray[np.int64] | None:
    check_classes(run, () if label is None else (label,))
    if not run.facts.takes_class:
        return None
    if label is not None:
        return np.full(len(images), label)
    if not run.facts.has_labels:
        raise UserError(
            f"run {run.facts.name} needs the class of the images and cannot predict it: give the class"
        )
    return classify(run, images).labels


def _to_noise_and_back(images: Tensor, velocity: Velocity, sampler: Sampler) -> Tensor:
    """Integrate from t = 1 to `T_MIN` and back; return images (b, c, h, w) on the CPU."""
    with ode_errors_as_user_errors():
        noise = sampler.integrate(velocity, images, t_start=1.0, t_end=T_MIN).x
        return sampler.integrate(velocity, noise, t_start=T_MIN, t_end=1.0).x.cpu()
