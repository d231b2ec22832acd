"""Labels as a data type of the latent space: one learned anchor per class (section 5)."""

import torch
from torch import Tensor, nn


class LabelAnchors(nn.Module):
    """The matrix A of section 5, which the label encoder and the label decoder share.

    Attributes:
        points: one anchor a class, (c, q), initialised as standard normal.
    """

    def __init__(self, num_classes: int, latent_dim: int) -> None:
        super().__init__()
        if num_classes < 1 or latent_dim < 1:
            raise ValueError(f"need at least one class and one dimension, got {num_classes} and {latent_dim}")
        self.points = nn.Parameter(torch.randn(num_classes, latent_dim))

    def forward(self, labels: Tensor) -> Tensor:
        """Encode labels (m,) as their anchors (m, q)."""
        return self.points[labels]


def class_frequencies(labels: Tensor, num_classes: int) -> Tensor:
    """Share of each class among the labels (m,): the weights of the label flow in training, float64 (c,) (E.2)."""
    classes = torch.arange(num_classes, device=labels.device)
    return (labels[:, None] == classes).double().mean(dim=0)  # a bincount would wait for the device
