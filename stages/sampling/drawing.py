"""Sampling images from a trained run: latents of the right zones, noise that depends on seeds alone, batch by batch."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from lzn.base.randomness import generator_for
from lzn.base.sections import ParamsError
from lzn.rectified_flow.ode import Sampler
from lzn.runs.configuration import JointRun, RepresentationRun
from lzn.runs.trained import TrainedRun
from lzn.studies import LABEL_SOLVER, draw_label_latents, generate_images


@dataclass(frozen=True)
class Sampling:
    """How images are drawn from a run.

    Attributes:
        trained: a run with an image decoder.
        seed: of noise and latents; with the run's own seed it decides them, so all runs of a seed get the same.
        batch_size: images drawn at once; noise and an adaptive sampler's steps depend on it.
        shape: (channels, height, width).
        device: where the model is.
    """

    trained: TrainedRun
    seed: int
    batch_size: int
    shape: tuple[int, int, int]
    device: torch.device

    @property
    def has_classes(self) -> bool:
        """Whether images are drawn of a class that is asked for."""
        return bool(self.trained.model.decoder.num_classes > 0)

    def batches(self, labels: Tensor, sampler: Sampler, *, first: int = 0) -> Iterator[Tensor]:
        """Images in [-1, 1] for labels (n,), which runs without classes ignore, from a batch's ``first`` image on.

        Wherever the drawing starts, images are the same; for every sampler, noise and latents are.
        """
        model = self.trained.model.to(self.device)
        for start in range(first, len(labels), self.batch_size):
            chosen = labels[start : start + self.batch_size].to(self.device)
            generator = generator_for(self.seed, "sample", self.trained.run.seed, start, device=self.device)
            noise = torch.randn(len(chosen), *self.shape, generator=generator, device=self.device)
            yield generate_images(
                model.decoder,
                latents=self._latents(chosen, generator),
                labels=chosen if self.has_classes else None,
                noise=noise,
                sampler=sampler,
            )

    def _latents(self, labels: Tensor, generator: torch.Generator) -> Tensor | None:
        """Of the class's zone where labels have zones, of the prior where not, none for plain rectified flow."""
        latent_dim = self.trained.model.decoder.latent_dim
        if latent_dim == 0:
            return None
        noise = torch.randn(len(labels), latent_dim, generator=generator, device=self.device)
        if isinstance(self.trained.run, JointRun):
            anchors = self.trained.model.label_anchors.points.detach()
            return draw_label_latents(anchors, labels, noise, solver=LABEL_SOLVER)
        return noise


def require_decoder(trained: TrainedRun) -> None:
    """Refuse runs that cannot draw images.

    Raises:
        ParamsError: the run has no image decoder.
    """
    run = trained.run
    if isinstance(run, RepresentationRun) or (isinstance(run, JointRun) and not run.generate):
        raise ParamsError(
            f"run {trained.configuration.name} has no image decoder: take it out of families.generative"
        )


def random_labels(labels: Tensor, num_images: int | None, *, seed: int) -> Tensor:
    """Labels to draw images for: those of the training images, or a random choice of ``num_images`` of them."""
    if num_images is None or num_images == len(labels):
        return labels
    generator = generator_for(seed, "labels")
    return labels[torch.randint(len(labels), (num_images,), generator=generator)]
