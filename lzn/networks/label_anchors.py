"""Anchors of labels: one learned vector per class (section 5)."""

import torch
from torch import Tensor, nn


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
