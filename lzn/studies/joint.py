"""Case study 3 (section 5): generation and classification together; labels have anchors in the same latent space."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lzn.base.randomness import BatchRandom
from lzn.flow import (
    AnchorBank,
    LabelAnchors,
    Solver,
    alignment_loss,
    class_frequencies,
    compute_latents,
    decode_labels,
)
from lzn.networks import LatentEncoder, VelocityUNet
from lzn.studies.encoding import encode_batch, full_batches
from lzn.studies.generation import (
    PathSamples,
    Velocity,
    anchors_of_images,
    images_of,
    velocity_from_latents_and_classes,
)
from lzn.studies.latent_sampling import LatentSampler
from lzn.training import Anchors, Batch, Coupled, Losses, StepInParts


class JointModel(nn.Module):
    """Image encoder, label anchors, and an image decoder (None without generation, "no gen")."""

    def __init__(
        self, encoder: LatentEncoder, label_anchors: LabelAnchors, decoder: VelocityUNet | None
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.label_anchors = label_anchors
        self.decoder = decoder


@dataclass(frozen=True, kw_only=True)
class LabelAlignment:
    """Settings of the alignment in training: the solver, ``u`` of Eq. 2, and the weight of the loss."""

    solver: Solver
    num_skipped_steps: int
    weight: float = 1.0


def label_anchors_of(model: Any) -> Tensor:
    """Return the label anchors (c, q) of ``model.label_anchors``."""
    points: Tensor = model.label_anchors.points
    return points


def labels_of(batch: Batch) -> Tensor:
    """Return the labels (b,) of a batch."""
    return batch.labels


@dataclass(frozen=True, kw_only=True)
class JointStep(StepInParts[PathSamples]):
    """Training step: alignment of latents with label anchors, without log, plus the RF loss (algorithm 6).

    The defaults are for batches of images with labels, and a `JointModel`.

    Attributes:
        latents: draws latents of the batch.
        alignment: settings of the alignment.
        data: returns the data (b, ...) of a batch that is generated.
        labels: returns the labels of a batch, int64 (b,).
        encoder: maps (model, batch) to anchors (b, q).
        label_anchors: returns the label anchors (c, q) of the model.
        velocity: the decoder; None without generation ("no gen").
    """

    latents: LatentSampler
    alignment: LabelAlignment
    data: Callable[[Any], Tensor] = images_of
    labels: Callable[[Any], Tensor] = labels_of
    encoder: Callable[[Any, Any], Tensor] = anchors_of_images
    label_anchors: Callable[[Any], Tensor] = label_anchors_of
    velocity: Velocity | None = velocity_from_latents_and_classes

    def prepare(self, batch: Any, random: BatchRandom) -> PathSamples:
        """Draw noise and times, also without generation, so that latents are the same."""
        return PathSamples.draw(batch, self.data(batch), random)

    def encode(self, model: Any, samples: PathSamples) -> Anchors:
        """Compute the anchors of the data."""
        return (self.encoder(model, samples.batch),)

    def couple(self, model: Any, samples: PathSamples, anchors: Anchors, random: BatchRandom) -> Coupled:
        """Draw latents and align them; the weights are the global batch's class frequencies (E.2)."""
        latents, labels = self.latents(anchors[0], random), self.labels(samples.batch)
        label_anchors = self.label_anchors(model)
        aligned = alignment_loss(
            latents,
            label_anchors,
            labels,
            weights=class_frequencies(random.share.gather(labels), len(label_anchors)),
            solver=self.alignment.solver,
            num_skipped_steps=self.alignment.num_skipped_steps,
            log=False,
        )
        metrics = {"alignment": aligned.loss.detach(), "alignment_accuracy": aligned.accuracy}
        return Coupled(latents, Losses(self.alignment.weight * aligned.loss, metrics))

    def decode(self, model: Any, samples: PathSamples, latents: Tensor | None) -> Losses | None:
        """Compute the rectified flow loss."""
        if self.velocity is None:
            return None
        rectified_flow = samples.loss(self.velocity, model, latents)
        return Losses(rectified_flow, {"rectified_flow": rectified_flow.detach()})


LatentsOfImages = Callable[[Tensor], Tensor]
"""Maps images (b, c, h, w) in [-1, 1] to latents (b, q). The zones' centres (alpha = 0) classify best."""


@dataclass(frozen=True)
class CentresInBatch:
    """Latents at the centres of zones among the images of a batch, as in the paper."""

    encoder: LatentEncoder
    solver: Solver

    def __call__(self, images: Tensor) -> Tensor:
        """Compute latents (b, q) of one batch of images (b, c, h, w)."""
        anchors = encode_batch(self.encoder, images)
        return compute_latents(anchors, torch.zeros_like(anchors), alpha=0.0, solver=self.solver)


@dataclass(frozen=True)
class LatentsInBatch:
    """Latents drawn, with concentration ``alpha``, from zones among the images of a batch (Figure 25)."""

    encoder: LatentEncoder
    solver: Solver
    alpha: float
    generator: torch.Generator
    """Generator of the noise, on the device of the images."""

    def __call__(self, images: Tensor) -> Tensor:
        """Compute latents (b, q) of one batch of images (b, c, h, w)."""
        anchors = encode_batch(self.encoder, images)
        noise = torch.randn(anchors.shape, generator=self.generator, device=anchors.device)
        return compute_latents(anchors, noise, alpha=self.alpha, solver=self.solver)


@dataclass(frozen=True)
class CentresInBank:
    """Latents at the centres of zones among a bank's anchors; they do not depend on other images of a batch."""

    encoder: LatentEncoder
    bank: AnchorBank
    solver: Solver

    def __call__(self, images: Tensor) -> Tensor:
        """Compute latents (b, q) of images (b, c, h, w), each independently."""
        anchors = encode_batch(self.encoder, images)
        return self.bank.latents(anchors, torch.zeros_like(anchors), alpha=0.0, solver=self.solver)


@torch.no_grad()
def classify_images(
    images: Tensor,
    latents_of: LatentsOfImages,
    label_anchors: Tensor,
    *,
    label_solver: Solver,
    batch_size: int,
) -> Tensor:
    """Classify images (n, c, h, w): labels (n,) decoded from their latents; at zone centres this is algorithm 9.

    ``latents_of`` is called with ``batch_size`` images at a time (see `full_batches`).
    """
    labels = []
    for rows, new in full_batches(len(images), batch_size):
        labels.append(decode_labels(latents_of(images[rows])[new], label_anchors, solver=label_solver))
    return torch.cat(labels)
