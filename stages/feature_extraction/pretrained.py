"""Inception and CLIP as extractors of features. Importing this imports torch_fidelity, which takes seconds."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lzn.metrics.clip import ClipNetwork, clip_embeddings, prepare_clip_images
from lzn.metrics.inception import (
    NUM_CLASSES,
    POOL_WIDTH,
    SPATIAL_WIDTH,
    InceptionNetwork,
    Preprocessing,
    inception_features,
)

EVERYTHING: Mapping[str, int] = {"pool": POOL_WIDTH, "spatial": SPATIAL_WIDTH, "logits": NUM_CLASSES}
"""What one pass gives: for FID, precision and recall; for sFID; for the Inception Score."""


@dataclass(frozen=True)
class InceptionExtractor:
    """Inception after one preprocessing, which is done on its device. Only ``cm`` keeps more than the pooled features.

    Several of them may share the network.
    """

    network: InceptionNetwork
    preprocessing: Preprocessing
    code: str = __name__
    batch_size: int = 64

    @property
    def name(self) -> str:
        """Network and preprocessing."""
        return f"Inception {self.preprocessing}"

    @property
    def identity(self) -> str:
        """The weights' hash and the preprocessing."""
        return f"inception {self.preprocessing} {self.network.weights_sha256}"

    @property
    def columns(self) -> Mapping[str, int]:
        """As `EVERYTHING` says, or the first of it."""
        return EVERYTHING if self.preprocessing == "cm" else {"pool": POOL_WIDTH}

    def to(self, device: torch.device) -> None:
        """Move the network."""
        self.network.to(device)

    def prepare(self, images: NDArray[np.uint8]) -> Tensor:
        """Only read them: the rest is done on the network's device."""
        return torch.from_numpy(np.array(images))

    def extract(self, prepared: Tensor) -> Tensor:
        """Features (b, sum of columns)."""
        features = inception_features(self.network, prepared, preprocessing=self.preprocessing)
        return torch.cat([getattr(features, name) for name in self.columns], dim=1)


@dataclass(frozen=True)
class ClipExtractor:
    """CLIP's image network."""

    network: ClipNetwork
    name: str = "CLIP"
    code: str = __name__
    batch_size: int = 32

    @property
    def identity(self) -> str:
        """Hash of weights and configuration; there is one preprocessing."""
        return f"clip {self.network.identity}"

    @property
    def columns(self) -> Mapping[str, int]:
        """Embeddings of length 1."""
        return {"embeddings": self.network.width}

    def to(self, device: torch.device) -> None:
        """Move the network."""
        self.network.to(device)

    def prepare(self, images: NDArray[np.uint8]) -> Tensor:
        """Cut, resize and normalise."""
        return prepare_clip_images(images, image_size=self.network.image_size)

    def extract(self, prepared: Tensor) -> Tensor:
        """Embeddings (b, width)."""
        return clip_embeddings(self.network, prepared)
