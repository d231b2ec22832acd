"""Networks as extractors of features: what an image is turned into before it reaches one, and what comes out."""

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
    """What makes features of images, batch by batch. It must be picklable: other processes get a copy."""

    @property
    def name(self) -> str:
        """For people."""

    @property
    def identity(self) -> str:
        """Hash of the network's weights, and the preprocessing: with the same the same images get the same features."""

    @property
    def code(self) -> str:
        """Name of the module whose code, with all that it imports of this project, makes the features."""

    @property
    def columns(self) -> Mapping[str, int]:
        """Which features there are, and how many numbers each has."""

    @property
    def batch_size(self) -> int:
        """Images at once."""

    def to(self, device: torch.device) -> None:
        """Move the network."""

    def prepare(self, images: NDArray[np.uint8]) -> Tensor:
        """The part of the preprocessing that is done on the CPU, beside the network's work on the batch before."""

    def extract(self, prepared: Tensor) -> Tensor:
        """Features (b, sum of columns), float32, on any device."""


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
        """The weights' hash; there is one preprocessing."""
        return f"classifier {self.weights_sha256}"

    @property
    def columns(self) -> Mapping[str, int]:
        """What the last layer sees."""
        return {"features": self.classifier.feature_dim}

    def to(self, device: torch.device) -> None:
        """Move the classifier."""
        self.classifier.to(device)

    def prepare(self, images: NDArray[np.uint8]) -> Tensor:
        """Grey levels to [-1, 1]."""
        return dequantise(images)

    @torch.no_grad()
    def extract(self, prepared: Tensor) -> Tensor:
        """Features (b, feature_dim)."""
        return self.classifier.features(prepared.to(next(self.classifier.parameters()).device))
