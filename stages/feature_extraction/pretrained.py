"""Inception and CLIP as extractors of features. This module imports torch_fidelity, which takes seconds."""

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
"""Features of one pass: for FID, precision and recall; for sFID; for the Inception Score."""


@dataclass(frozen=True)
class InceptionExtractor:
    """Inception with one preprocessing, which runs on its device. Several extractors may share a network.

    The preprocessing ``cm`` keeps `EVERYTHING`, the others keep the pooled features.
    """

    network: InceptionNetwork
    preprocessing: Preprocessing
    code: str = __name__
    batch_size: int = 64

    @property
    def name(self) -> str:
        """Network and preprocessing, for people."""
        return f"Inception {self.preprocessing}"

    @property
    def identity(self) -> str:
        """Hash of the weights, and the preprocessing."""
        return f"inception {self.preprocessing} {self.network.weights_sha256}"

    @property
    def columns(self) -> Mapping[str, int]:
        """`EVERYTHING`, or the pooled features alone."""
        return EVERYTHING if self.preprocessing == "cm" else {"pool": POOL_WIDTH}

    def to(self, device: torch.device) -> None:
        """Move the network."""
        self.network.to(device)

    def prepare(self, images: NDArray[np.uint8]) -> Tensor:
        """Read the images; the preprocessing runs on the network's device."""
        return torch.from_numpy(np.array(images))

    def extract(self, prepared: Tensor) -> Tensor:
        """Compute features (b, sum of widths)."""
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
        """Embeddings, normalised to length 1."""
        return {"embeddings": self.network.width}

    def to(self, device: torch.device) -> None:
        """Move the network."""
        self.network.to(device)

    def prepare(self, images: NDArray[np.uint8]) -> Tensor:
        """Crop, resize and normalise."""
        return prepare_clip_images(images, image_size=self.network.image_size)

    def extract(self, prepared: Tensor) -> Tensor:
        """Compute embeddings (b, width)."""
        return clip_embeddings(self.network, prepared)
