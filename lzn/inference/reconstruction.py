"""Images that flow to noise and back (appendix C.3)."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lzn.data import dequantise, quantise
from lzn.inference.abilities import Ability
from lzn.inference.answers import Images, classify, embed
from lzn.inference.errors import UserError
from lzn.inference.loaded_run import LoadedRun
from lzn.inference.sampling import OdeSettings, OnProgress, check_classes
from lzn.rectified_flow.ode import OdeError
from lzn.rectified_flow.path import T_MIN, Velocity
from lzn.studies.generation import velocity_of

_SOLVED_AT_ONCE = 64


@dataclass(frozen=True)
class Reconstruction:
    """Images after the flow to noise and back.

    Attributes:
        images: uint8 (n, c, h, w).
        errors: L2 distance of each to its original, in units of [-1, 1] (n,): appendix C.3's, for one draw of z.
        labels: the class that the decoder was told (n,), None where it takes none.
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
    """Solve the flow from images to noise and back, with z drawn from each image's zone.

    Images are solved 64 at a time: what is asked together changes the result by rounding, and with RK45 by its
    tolerance.

    Args:
        run: has a decoder.
        images: to reconstruct.
        label: the class that the decoder is told; None: the one that the run itself says.
        seed: of the draw of z.
        ode: how both directions are solved.
        on_progress: told of finished images.

    Raises:
        UserError: the run has no decoder, needs a class and cannot say it, or the ODE could not be solved.
    """
    run.facts.require(Ability.RECONSTRUCT)
    labels = _labels(run, images, label)
    latents = torch.from_numpy(embed(run, images, seed=seed)["latent"]) if run.facts.has_encoder else None
    back = []
    for start in range(0, len(images), _SOLVED_AT_ONCE):
        rows = slice(start, start + _SOLVED_AT_ONCE)
        velocity = velocity_of(
            run.trained.model.decoder,
            None if latents is None else latents[rows].to(run.device),
            None if labels is None else torch.from_numpy(labels[rows]).to(run.device),
        )
        back.append(_there_and_back(dequantise(images[rows]).to(run.device), velocity, ode))
        on_progress(len(back[-1]))
    differences = (torch.cat(back) - dequantise(images)).double().flatten(1)
    return Reconstruction(quantise(torch.cat(back)), differences.norm(dim=1).numpy(), labels)


def _labels(run: LoadedRun, images: Images, label: int | None) -> NDArray[np.int64] | None:
    check_classes(run, () if label is None else (label,))
    if not run.facts.takes_class:
        return None
    if label is not None:
        return np.full(len(images), label)
    if not run.facts.has_labels:
        raise UserError(
            f"run {run.facts.name} must be told the class of the images, and cannot classify: give it"
        )
    return classify(run, images).labels


def _there_and_back(images: Tensor, velocity: Velocity, ode: OdeSettings) -> Tensor:
    """On the CPU, in [-1, 1] up to the solver's error."""
    sampler = ode.build()
    try:
        noise = sampler.integrate(velocity, images, t_start=1.0, t_end=T_MIN).x
        return sampler.integrate(velocity, noise, t_start=T_MIN, t_end=1.0).x.cpu()
    except OdeError as error:
        raise UserError(f"the image ODE could not be solved: {error}") from error
