"""Sampling of images from a trained run (sections 3 and 5)."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lzn.base.randomness import generator_for
from lzn.data import quantise
from lzn.flow import decode_labels, draw_label_latents
from lzn.inference.abilities import Ability
from lzn.inference.class_names import describe_classes
from lzn.inference.errors import UserError
from lzn.inference.loaded_run import LoadedRun, OnProgress
from lzn.inference.time_limit import TimedSampler
from lzn.rectified_flow.ode import EulerSampler, OdeError, RK45Sampler, Sampler
from lzn.studies.generation import generate, velocity_of

DEFAULT_STEPS = 50
_BATCH_SIZE = 100


@dataclass(frozen=True, kw_only=True)
class OdeSettings:
    """How the image ODE is solved.

    Attributes:
        num_steps: Euler steps.
        tolerance: if given, RK45 with this relative and absolute tolerance replaces Euler (1e-5 in the paper). All
            images of a batch share its step size.
        max_seconds: longest time from the first use of the sampler; None: no limit. Work that clearly needs longer is
            refused within seconds.
        advice: what the message about the limit says to do.

    Raises:
        UserError: a value is out of range.
    """

    num_steps: int = DEFAULT_STEPS
    tolerance: float | None = None
    max_seconds: float | None = None
    advice: str = "ask for fewer images or steps"

    def __post_init__(self) -> None:
        if not 1 <= self.num_steps <= 10_000:
            raise UserError(f"steps must be between 1 and 10000, got {self.num_steps}")
        # RK45 accepts tolerances from ten times the resolution of float32, which is 1e-7.
        if self.tolerance is not None and not 2e-6 <= self.tolerance <= 1:
            raise UserError(f"the tolerance of RK45 must be between 2e-6 and 1, got {self.tolerance:g}")

    def build(self, *, num_solutions: int = 1) -> Sampler:
        """Return the sampler for this number of solutions."""
        sampler: Sampler = (
            EulerSampler(num_steps=self.num_steps)
            if self.tolerance is None
            else RK45Sampler(rtol=self.tolerance, atol=self.tolerance)
        )
        if self.max_seconds is None:
            return sampler
        return cast("Sampler", TimedSampler(sampler, self.max_seconds, num_solutions, self.advice))

    def require_work(self, num_images: int, *, max_evaluations: int) -> None:
        """Check that Euler needs at most this number of evaluations of the decoder.

        Raises:
            UserError: it needs more.
        """
        evaluations = num_images * self.num_steps
        if self.tolerance is None and evaluations > max_evaluations:
            raise UserError(
                f"{num_images} images with {self.num_steps} steps are {evaluations} evaluations of the decoder, more "
                f"than the {max_evaluations} of one request: ask for fewer images or steps"
            )


@dataclass(frozen=True, kw_only=True)
class SampleRequest:
    """Which images to sample.

    Attributes:
        num_images: number of images.
        classes: classes of the images, in rotation. If empty, runs with label anchors draw latents from the prior and
            decode the class from the latent (section 5); other class-conditional runs take all classes in rotation.
        seed: random seed. Image i does not depend on ``num_images``, up to rounding (with RK45: up to the tolerance).
        ode: how the image ODE is solved.
    """

    num_images: int
    classes: tuple[int, ...] = ()
    seed: int = 0
    ode: OdeSettings = OdeSettings()


@dataclass(frozen=True)
class Samples:
    """Sampled images, uint8 (n, c, h, w), and their classes (n,), None if the decoder takes no class."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64] | None


@torch.no_grad()
def draw_samples(
    run: LoadedRun, request: SampleRequest, *, on_progress: OnProgress = lambda _: None
) -> Samples:
    """Sample images.

    Raises:
        UserError: the run has no decoder or not these classes, a value is out of range, or the ODE solver failed.
    """
    run.facts.require(Ability.SAMPLE)
    check_classes(run, request.classes)
    if request.num_images < 1:
        raise UserError(f"the number of images must be at least 1, got {request.num_images}")
    if request.seed < 0:
        raise UserError(f"the seed must not be negative, got {request.seed}")
    images, labels = [], []
    sampler = request.ode.build(num_solutions=math.ceil(request.num_images / _BATCH_SIZE))
    for indices in _chunks(request.num_images, _BATCH_SIZE):
        latents, chosen = _conditions(run, request, indices)
        noise = _noise(request.seed, "image", indices, run.image_shape).to(run.device)
        with ode_errors_as_user_errors():
            velocity = velocity_of(run.trained.model.decoder, latents, chosen)
            sampled = generate(velocity, noise, sampler=sampler)
        images.append(quantise(sampled))
        if chosen is not None:
            labels.append(chosen.cpu().numpy())
        on_progress(len(indices))
    return Samples(np.concatenate(images), np.concatenate(labels) if labels else None)


@contextmanager
def ode_errors_as_user_errors() -> Iterator[None]:
    """Raise UserError where the block raises OdeError."""
    try:
        yield
    except OdeError as error:
        raise UserError(f"the image ODE could not be solved: {error}") from error


def check_classes(run: LoadedRun, classes: tuple[int, ...]) -> None:
    """Check that the run's decoder takes these classes.

    Raises:
        UserError: the decoder takes no class, or a class is unknown.
    """
    if classes and not run.facts.takes_class:
        raise UserError(f"run {run.facts.name} takes no class: leave the class out")
    unknown = sorted({label for label in classes if not 0 <= label < run.facts.num_classes})
    if unknown:
        listed = ", ".join(map(str, unknown))
        known = describe_classes(run.facts.class_names, run.facts.num_classes)
        raise UserError(f"class {listed}: run {run.facts.name} has {known}")


def choose_classes(run: LoadedRun, given: Sequence[str | int]) -> tuple[int, ...]:
    """Return the indices of classes that are given by name or index.

    Raises:
        UserError: the decoder takes no class, or a class is ambiguous or unknown.
    """
    if given and not run.facts.takes_class:
        raise UserError(f"run {run.facts.name} takes no class: leave the class out")
    return tuple(run.facts.class_index(one) for one in given)


def _conditions(
    run: LoadedRun, request: SampleRequest, indices: range
) -> tuple[Tensor | None, Tensor | None]:
    """Return latents (b, q) and classes (b,) of the images with these indices; None for what the decoder lacks."""
    labels = _classes_in_rotation(run, request.classes, indices)
    latent = run.trained.run.latent
    if latent is None:
        return None, labels
    noise = _noise(request.seed, "latent", indices, (latent.dim,)).to(run.device)
    if not run.facts.has_labels:
        return noise, labels
    anchors = run.trained.model.label_anchors.points
    if labels is None:
        return noise, decode_labels(noise, anchors)
    return draw_label_latents(anchors, labels, noise), labels


def _classes_in_rotation(run: LoadedRun, classes: tuple[int, ...], indices: range) -> Tensor | None:
    if not classes and run.facts.takes_class and not run.facts.has_labels:
        classes = tuple(range(run.facts.num_classes))
    if not classes:
        return None
    return torch.tensor([classes[index % len(classes)] for index in indices], device=run.device)


def _noise(seed: int, purpose: str, indices: range, shape: tuple[int, ...]) -> Tensor:
    """Draw standard normal noise (b, *shape) on the CPU; each row has its own generator."""
    return torch.stack(
        [torch.randn(shape, generator=generator_for(seed, purpose, index)) for index in indices]
    )


def _chunks(total: int, size: int) -> Iterator[range]:
    for start in range(0, total, size):
        yield range(start, min(start + size, total))
