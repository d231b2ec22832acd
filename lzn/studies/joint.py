"""Case study 3 (section 5): generation and classification together; labels have anchors in the same latent space."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lzn.base.randomness import BatchRandom
from lzn.flow import (
    AnchorBank,
    Euler,
    Solver,
    alignment_loss,
    compute_latents,
    flow_to_anchors,
    nearest_anchor,
)
from lzn.networks import LatentEncoder, VelocityUNet
from lzn.networks.label_anchors import LabelAnchors, class_frequencies
from lzn.studies.encoding import encode_batch, full_batches
from lzn.studies.generation import LatentSampler, PathSample
from lzn.training import Batch, Losses

LABEL_SOLVER = Euler(num_steps=100)
"""Solver of the flow between latents and label anchors after training (section 5)."""


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


@dataclass(frozen=True, kw_only=True)
class JointStep:
    """Training step: alignment of image latents with label anchors, without log, plus the RF loss (algorithm 6)."""

    latents: LatentSampler
    alignment: LabelAlignment

    def __call__(self, model: JointModel, batch: Batch, random: BatchRandom) -> Losses:
        """Compute both losses of one batch; the alignment's weights are the global batch's class frequencies (E.2)."""
        path_sample = PathSample.draw(batch.images, random)
        latents = self.latents(model.encoder(batch.images), random)
        anchors = model.label_anchors.points
        aligned = alignment_loss(
            latents,
            anchors,
            batch.labels,
            weights=class_frequencies(batch.share.gather(batch.labels), len(anchors)),
            solver=self.alignment.solver,
            num_skipped_steps=self.alignment.num_skipped_steps,
            log=False,
        )
        metrics = {"alignment": aligned.loss.detach(), "alignment_accuracy": aligned.accuracy}
        total = self.alignment.weight * aligned.loss
        if model.decoder is not None:
            rectified_flow = path_sample.loss(model.decoder, latents, batch.labels)
            metrics["rectified_flow"] = rectified_flow.detach()
            total = total + rectified_flow
        return Losses(total, metrics)


@torch.no_grad()
def draw_label_latents(label_anchors: Tensor, labels: Tensor, noise: Tensor, *, solver: Euler) -> Tensor:
    """Draw a latent (m, q) from the zone of each label (m,), with noise (m, q), to generate images (algorithm 8)."""
    return compute_latents(label_anchors, noise, rows=labels, solver=solver)


@torch.no_grad()
def decode_labels(latents: Tensor, label_anchors: Tensor, *, solver: Solver) -> Tensor:
    """Return the label (m,) of each latent (m, q): the label anchor (c, q) nearest to the end of its flow.

    The paper takes the largest inner product. For anchors of equal norm the result is the same; for others, only the
    nearest anchor is correct.
    """
    return nearest_anchor(flow_to_anchors(latents, label_anchors, solver=solver).points, label_anchors)


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
