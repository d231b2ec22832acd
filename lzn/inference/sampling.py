"""Images from a trained run: how many, of which classes, from which seed, solved how (sections 3 and 5)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lzn.base.randomness import generator_for
from lzn.data import quantise
from lzn.inference.abilities import Ability
from lzn.inference.errors import UserError
from lzn.inference.loaded_run import LABEL_SOLVER, LoadedRun
from lzn.rectified_flow.ode import EulerSampler, OdeError, RK45Sampler, Sampler
from lzn.studies import decode_labels, draw_label_latents, generate_images

DEFAULT_STEPS = 50
_DRAWN_AT_ONCE = 100

OnProgress = Callable[[int], object]
"""Told how many images were finished since the last call."""


@dataclass(frozen=True, kw_only=True)
class OdeSettings:
    """How the image ODE is solved.

    Attributes:
        num_steps: Euler steps.
        tolerance: relative and absolute, of adaptive RK45, which is taken instead where this is given; the paper's is
            1e-5. Its step size is one for all images that are drawn together.

    Raises:
        UserError: a number is out of its range.
    """

    num_steps: int = DEFAULT_STEPS
    tolerance: float | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.num_steps <= 10_000:
            raise UserError(f"steps must lie between 1 and 10000, got {self.num_steps}")
        # float32 resolves 1e-7: ten times that is the least that RK45 accepts.
        if self.tolerance is not None and not 2e-6 <= self.tolerance <= 1:
            raise UserError(f"the tolerance of RK45 must lie between 2e-6 and 1, got {self.tolerance:g}")

    def build(self) -> Sampler:
        """The sampler."""
        if self.tolerance is None:
            return EulerSampler(num_steps=self.num_steps)
        return RK45Sampler(rtol=self.tolerance, atol=self.tolerance)


@dataclass(frozen=True, kw_only=True)
class SampleRequest:
    """What is to be drawn.

    Attributes:
        num_images: how many.
        classes: which, in turn; empty: latents come from the prior, and each image's class is that of the zone in
            which its latent lies (section 5). The conditional decoder without latents draws all classes in turn.
        seed: image i is the same for every number of images, up to rounding (with RK45: up to its tolerance).
        ode: how it is solved.
    """

    num_images: int
    classes: tuple[int, ...] = ()
    seed: int = 0
    ode: OdeSettings = OdeSettings()


@dataclass(frozen=True)
class Samples:
    """Drawn images uint8 (n, c, h, w), and their classes (n,), None where the run knows none."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64] | None


@torch.no_grad()
def draw_samples(
    run: LoadedRun, request: SampleRequest, *, on_progress: OnProgress = lambda _: None
) -> Samples:
    """Draw images.

    Raises:
        UserError: the run has no decoder, does not know the classes, a number is out of its range, or the ODE could
            not be solved.
    """
    run.facts.require(Ability.SAMPLE)
    check_classes(run, request.classes)
    if request.num_images < 1:
        raise UserError(f"the number of images must be at least 1, got {request.num_images}")
    if request.seed < 0:
        raise UserError(f"the seed must not be negative, got {request.seed}")
    images, labels = [], []
    for indices in _chunks(request.num_images, _DRAWN_AT_ONCE):
        latents, chosen = _conditions(run, request, indices)
        noise = _noise(request.seed, "image", indices, run.image_shape).to(run.device)
        try:
            drawn = generate_images(
                run.trained.model.decoder,
                latents=latents,
                labels=chosen,
                noise=noise,
                sampler=request.ode.build(),
            )
        except OdeError as error:
            raise UserError(f"the image ODE could not be solved: {error}") from error
        images.append(quantise(drawn))
        if chosen is not None:
            labels.append(chosen.cpu().numpy())
        on_progress(len(indices))
    return Samples(np.concatenate(images), np.concatenate(labels) if labels else None)


def check_classes(run: LoadedRun, classes: tuple[int, ...]) -> None:
    """Check that the run's decoder knows these classes.

    Raises:
        UserError: it knows none, or not all of them.
    """
    if classes and not run.facts.takes_class:
        raise UserError(f"run {run.facts.name} draws without classes: leave the class out")
    unknown = sorted({label for label in classes if not 0 <= label < run.facts.num_classes})
    if unknown:
        listed = ", ".join(map(str, unknown))
        raise UserError(
            f"class {listed}: run {run.facts.name} has the classes 0 to {run.facts.num_classes - 1}"
        )


def _conditions(
    run: LoadedRun, request: SampleRequest, indices: range
) -> tuple[Tensor | None, Tensor | None]:
    """Latents (b, q) and classes (b,) of the images with these indices, None where the decoder takes none."""
    labels = _classes_in_turn(run, request.classes, indices)
    latent = run.trained.run.latent
    if latent is None:
        return None, labels
    noise = _noise(request.seed, "latent", indices, (latent.dim,)).to(run.device)
    if not run.facts.has_labels:
        return noise, labels
    anchors = run.trained.model.label_anchors.points
    if labels is None:
        return noise, decode_labels(noise, anchors, solver=LABEL_SOLVER)
    return draw_label_latents(anchors, labels, noise, solver=LABEL_SOLVER), labels


def _classes_in_turn(run: LoadedRun, classes: tuple[int, ...], indices: range) -> Tensor | None:
    if not classes and run.facts.takes_class and not run.facts.has_labels:
        classes = tuple(range(run.facts.num_classes))
    if not classes:
        return None
    return torch.tensor([classes[index % len(classes)] for index in indices], device=run.device)


def _noise(seed: int, purpose: str, indices: range, shape: tuple[int, ...]) -> Tensor:
    """Standard normal (b, *shape) on the CPU, each row of a generator of its own."""
    return torch.stack(
        [torch.randn(shape, generator=generator_for(seed, purpose, index)) for index in indices]
    )


def _chunks(total: int, size: int) -> Iterator[range]:
    for start in range(0, total, size):
        yield range(start, min(start + size, total))
