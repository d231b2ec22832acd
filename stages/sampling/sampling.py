"""Sample images from a trained run batch by batch: the latents, the noise and the labels."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from lzn.base.randomness import generator_for
from lzn.flow import decode_labels, draw_label_latents
from lzn.rectified_flow.ode import Sampler
from lzn.runs.configuration import JointRun, RepresentationRun
from lzn.runs.trained import TrainedRun
from lzn.studies.generation import generate, velocity_of
from stages.runtime.families import wrong_family
from stages.runtime.stage_main import StageCall


@dataclass(frozen=True)
class Sampling:
    """How images are sampled from a run.

    Attributes:
        trained: a run with an image decoder.
        seed: determines noise and latents, together with the run's own seed and the start of the batch.
        batch_size: images per batch; noise and the steps of an adaptive sampler depend on it.
        shape: (channels, height, width).
        device: where the model is.
        decodes_classes: for runs of case study 3: draw latents from the prior and decode the class from each, which is
            unconditional generation, instead of drawing latents from the zones of given classes (section 5).
    """

    trained: TrainedRun
    seed: int
    batch_size: int
    shape: tuple[int, int, int]
    device: torch.device
    decodes_classes: bool = False

    @property
    def has_classes(self) -> bool:
        """Whether the decoder is conditioned on a class."""
        return bool(self.trained.model.decoder.num_classes > 0)

    def batches(self, labels: Tensor, sampler: Sampler, *, first: int = 0) -> Iterator[Tensor]:
        """Yield batches of images (b, c, h, w) in [-1, 1] for labels (n,).

        Runs without classes, and those with ``decodes_classes``, ignore the labels but for their number.
        ``first`` is the first image of the first batch: a multiple of ``batch_size``. Images do not depend on it.
        Noise and latents are the same for all samplers, and noise for all runs with the same seed.
        """
        model = self.trained.model.to(self.device)
        for start in range(first, len(labels), self.batch_size):
            chosen = labels[start : start + self.batch_size].to(self.device)
            generator = generator_for(self.seed, "sample", self.trained.run.seed, start, device=self.device)
            noise = torch.randn(len(chosen), *self.shape, generator=generator, device=self.device)
            latents, classes = self._conditions(chosen, generator)
            velocity = velocity_of(model.decoder, latents, classes)
            yield generate(velocity, noise, sampler=sampler)

    def _conditions(self, labels: Tensor, generator: torch.Generator) -> tuple[Tensor | None, Tensor | None]:
        """Return latents and classes: from the zones of the labels if labels have zones, else from the prior.

        Latents are None for plain RF, classes for decoders without them.
        """
        classes = labels if self.has_classes else None
        latent_dim = self.trained.model.decoder.latent_dim
        if latent_dim == 0:
            return None, classes
        noise = torch.randn(len(labels), latent_dim, generator=generator, device=self.device)
        if not isinstance(self.trained.run, JointRun):
            return noise, classes
        anchors = self.trained.model.label_anchors.points.detach()
        if self.decodes_classes:
            return noise, decode_labels(noise, anchors)
        return draw_label_latents(anchors, labels, noise), classes


def require_decoder(call: StageCall, trained: TrainedRun) -> None:
    """Raise an error if the run cannot generate images.

    Raises:
        ParamsError: the run has no image decoder.
    """
    run = trained.run
    if isinstance(run, RepresentationRun) or (isinstance(run, JointRun) and not run.generate):
        raise wrong_family(call, "generative", "has no image decoder")


def random_labels(labels: Tensor, num_images: int | None, *, seed: int) -> Tensor:
    """Return ``num_images`` labels drawn at random with replacement; all labels in order if the number is None or n."""
    if num_images is None or num_images == len(labels):
        return labels
    generator = generator_for(seed, "labels")
    return labels[torch.randint(len(labels), (num_images,), generator=generator)]
