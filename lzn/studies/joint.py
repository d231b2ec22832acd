"""Case study 3 (section 5): generation and classification together, with labels as a data type of the latent space."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lzn.base.randomness import BatchRandom
from lzn.flow import (
    AnchorBank,
    Euler,
    Solver,
    alignment_objective,
    compute_latents,
    flow_to_anchors,
    nearest_anchor,
)
from lzn.networks import LatentEncoder, VelocityUNet
from lzn.networks.label_anchors import LabelAnchors, class_frequencies
from lzn.studies.generation import FlowInput, LatentDraw
from lzn.training import Batch, Losses

LABEL_SOLVER = Euler(num_steps=100)
"""Solver of the flow between latents and label anchors after training (section 5)."""


class JointModel(nn.Module):
    """Image encoder and label anchors, and the image decoder unless generation is off ("no gen")."""

    def __init__(
        self, encoder: LatentEncoder, label_anchors: LabelAnchors, decoder: VelocityUNet | None
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.label_anchors = label_anchors
        self.decoder = decoder


@dataclass(frozen=True, kw_only=True)
class LabelAlignment:
    """Settings of the label flow in training: its solver, ``u`` of Eq. 2, and the loss's weight."""

    solver: Solver
    num_skipped_steps: int
    weight: float = 1.0


@dataclass(frozen=True, kw_only=True)
class JointStep:
    """Alignment of image latents with their labels' anchors, without logarithm, plus the RF loss (algorithm 6)."""

    latents: LatentDraw
    alignment: LabelAlignment

    def __call__(self, model: JointModel, batch: Batch, random: BatchRandom) -> Losses:
        """Both losses on one batch; the label flow's weights are the global batch's class frequencies (E.2)."""
        flow_input = FlowInput.draw(batch.images, random)
        latents = self.latents(model.encoder(batch.images), random)
        anchors = model.label_anchors.points
        arrival = flow_to_anchors(
            latents,
            anchors,
            weights=class_frequencies(batch.share.gather(batch.labels), len(anchors)),
            targets=batch.labels,
            solver=self.alignment.solver,
        )
        assert arrival.target_log_probability is not None
        alignment = alignment_objective(
            arrival.target_log_probability, num_skipped_steps=self.alignment.num_skipped_steps, log=False
        )
        arrived = nearest_anchor(arrival.points.detach(), anchors.detach()) == batch.labels
        metrics = {"alignment": alignment.detach(), "alignment_accuracy": arrived.float().mean()}
        total = self.alignment.weight * alignment
        if model.decoder is not None:
            rectified_flow = flow_input.loss(model.decoder, latents, batch.labels)
            metrics["rectified_flow"] = rectified_flow.detach()
            total = total + rectified_flow
        return Losses(total, metrics)


@torch.no_grad()
def draw_label_latents(label_anchors: Tensor, labels: Tensor, noise: Tensor, *, solver: Euler) -> Tensor:
    """A latent (m, q) from the zone of each label (m,), with noise (m, q): conditional generation (algorithm 8)."""
    return compute_latents(label_anchors[labels], noise, all_anchors=label_anchors, solver=solver)


@torch.no_grad()
def decode_labels(latents: Tensor, label_anchors: Tensor, *, solver: Solver) -> Tensor:
    """The label (m,) in whose zone each latent (m, q) lies: the flow to the label anchors (c, q), then the nearest.

    The paper writes the largest inner product; the nearest anchor is the same for anchors of equal norm, and right
    for others as well.
    """
    return nearest_anchor(flow_to_anchors(latents, label_anchors, solver=solver).points, label_anchors)


LatentsOfImages = Callable[[Tensor], Tensor]
"""From images (b, c, h, w) in [-1, 1] to latents (b, q) in their zones; at the centres (alpha = 0) to classify best."""


@dataclass(frozen=True)
class CentresInBatch:
    """Each image's zone is that among the images of its batch, as in the paper."""

    encoder: LatentEncoder
    solver: Solver

    def __call__(self, images: Tensor) -> Tensor:
        """Latents (b, q) of one batch of images (b, c, h, w)."""
        anchors = self.encoder(images)
        return compute_latents(anchors, torch.zeros_like(anchors), alpha=0.0, solver=self.solver)


@dataclass(frozen=True)
class LatentsInBatch:
    """Draws from each image's zone among the images of its batch, as concentrated as ``alpha`` says (Figure 25)."""

    encoder: LatentEncoder
    solver: Solver
    alpha: float
    generator: torch.Generator
    """Of the noise; on the device of the images."""

    def __call__(self, images: Tensor) -> Tensor:
        """Latents (b, q) of one batch of images (b, c, h, w)."""
        anchors = self.encoder(images)
        noise = torch.randn(anchors.shape, generator=self.generator, device=anchors.device)
        return compute_latents(anchors, noise, alpha=self.alpha, solver=self.solver)


@dataclass(frozen=True)
class CentresInBank:
    """Each image's zone is that among a bank's anchors and its own, whatever other images are asked for."""

    encoder: LatentEncoder
    bank: AnchorBank
    solver: Solver

    def __call__(self, images: Tensor) -> Tensor:
        """Latents (b, q) of images (b, c, h, w), each by itself."""
        anchors = self.encoder(images)
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
    """Labels (n,) of images (n, c, h, w), from latents in their zones; from their centres it is algorithm 9.

    ``latents_of`` gets ``batch_size`` images at a time. The last batch is made full with the images before it: zones
    of a few images alone would be too wide.
    """
    labels = []
    for start in range(0, len(images), batch_size):
        stop = min(start + batch_size, len(images))
        latents = latents_of(images[max(0, stop - batch_size) : stop])
        labels.append(decode_labels(latents[start - stop :], label_anchors, solver=label_solver))
    return torch.cat(labels)
