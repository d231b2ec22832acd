"""Labels in the latent space: one learned anchor per class, and labels decoded from latents (section 5)."""

import torch
from torch import Tensor, nn

from lzn.flow.latent_alignment import flow_to_anchors, nearest_anchor
from lzn.flow.latent_computation import compute_latents
from lzn.flow.solvers import Euler, Solver

LABEL_SOLVER = Euler(num_steps=100)
"""Solver of the flow between latents and label anchors after training (section 5)."""


class LabelAnchors(nn.Module):
    """The matrix A of section 5, shared by the label encoder and the label decoder.

    Attributes:
        points: one anchor per class, (c, q), initially standard normal.
    """

    def __init__(self, num_classes: int, latent_dim: int) -> None:
        super().__init__()
        if num_classes < 1 or latent_dim < 1:
            raise ValueError(f"num_classes={num_classes} and latent_dim={latent_dim} must be at least 1")
        self.points = nn.Parameter(torch.randn(num_classes, latent_dim))

    def forward(self, labels: Tensor) -> Tensor:
        """Return the anchors (m, q) of labels (m,)."""
        return self.points[labels]


def class_frequencies(labels: Tensor, num_classes: int) -> Tensor:
    """Compute the share of each class among labels (m,), float64 (c,): weights of the label flow in training (E.2)."""
    classes = torch.arange(num_classes, device=labels.device)
    return (labels[:, None] == classes).double().mean(dim=0)  # bincount would synchronise the device


@torch.no_grad()
def draw_label_latents(
    label_anchors: Tensor, labels: Tensor, noise: Tensor, *, solver: Solver = LABEL_SOLVER
) -> Tensor:
    """Draw a latent (m, q) from the zone of each label (m,), to generate images (algorithm 8).

    Args:
        label_anchors: one anchor per class, (c, q).
        labels: int64 (m,).
        noise: standard normal, (m, q).
        solver: solver of the flow to the latents.

    Raises:
        ValueError: as `compute_latents`.
    """
    return compute_latents(label_anchors, noise, rows=labels, solver=solver)


@torch.no_grad()
def decode_labels(latents: Tensor, label_anchors: Tensor, *, solver: Solver = LABEL_SOLVER) -> Tensor:
    """Return the label (m,), int64, of each latent (m, q): the label anchor (c, q) nearest to the end of its flow.

    The paper takes the largest inner product. For anchors of equal norm the result is the same; for others, only the
    nearest anchor is correct.

    Raises:
        ValueError: as `flow_to_anchors`.
    """
    return nearest_anchor(flow_to_anchors(latents, label_anchors, solver=solver).points, label_anchors)
