"""Extractors of features: a network with the preprocessing of its images."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lzn.data import dequantise
from lzn.networks import ImageClassifier


class FeatureExtractor(Protocol):
    """Computes features of images batch by batch. It must be picklable: other processes get a copy."""

    @property
    def name(self) -> str:
        """Name for people."""

    @property
    def identity(self) -> str:
        """Hash of the network's weights, and the preprocessing. Equal identities give equal features."""

    @property
    def code(self) -> str:
        """Name of the module whose code, with its imports from this project, computes the features."""

    @property
    def columns(self) -> Mapping[str, int]:
        """Width of each kind of features by name."""

    @property
    def batch_size(self) -> int:
        """Images in a batch."""

    def to(self, device: torch.device) -> None:
        """Move the network."""

    def prepare(self, images: NDArray[np.uint8]) -> Tensor:
        """Do the part of the preprocessing that runs on the CPU while the network computes the previous batch."""

    def extract(self, prepared: Tensor) -> Tensor:
        """Compute features (b, sum of widths), float32, on any device."""


@dataclass(frozen=True)
class ClassifierExtractor:
    """Features of a data set's own classifier."""

    classifier: ImageClassifier
    weights_sha256: str
    name: str = "classifier"
    code: str = __name__
    batch_size: int = 1000

    @property
    def identity(self) -> str:
        """Hash of the weights; there is one preprocessing."""
        return f"classifier {self.weights_sha256}"

    @property
    def columns(self) -> Mapping[str, int]:
        """The input of the last layer."""
        return {"features": self.classifier.feature_dim}

    def to(self, device: torch.device) -> None:
        """Move the classifier."""
        self.classifier.to(device)

    def prepare(self, images: NDArray[np.uint8]) -> Tensor:
        """Scale grey levels to [-1, 1]."""
        return dequantise(images)

    @torch.no_grad()
    def extract(self, prepared: Tensor) -> Tensor:
        """Compute features (b, feature_dim)."""
        return self.classifier.features(prepared.to(next(self.classifier.parameters()).device))
