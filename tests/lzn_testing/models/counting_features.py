"""A small feature extractor that counts its batches and can end its process. It is in a module to be importable."""

import os
from dataclasses import dataclass, field

import torch
from torch import Tensor

from lzn.networks import ImageClassifier
from stages.feature_extraction.extractors import ClassifierExtractor

SHAPE = {"image_size": 8, "image_channels": 1, "num_classes": 3, "base_channels": 8, "feature_dim": 6}
BATCH_SIZE = 10


@dataclass(frozen=True)
class CountingExtractor(ClassifierExtractor):
    """Count batches, and end the process, like a kill, instead of computing batch number ``dies_at``."""

    batch_size: int = BATCH_SIZE
    dies_at: int | None = None
    extracted_sizes: list[int] = field(default_factory=list)

    def extract(self, prepared: Tensor) -> Tensor:
        """Compute the features of a batch, and record its size."""
        if len(self.extracted_sizes) == self.dies_at:
            os._exit(9)
        self.extracted_sizes.append(len(prepared))
        return super().extract(prepared)


def counting_extractor(*, seed: int = 0, dies_at: int | None = None) -> CountingExtractor:
    """Build an extractor with random weights; its name has the seed in place of their hash."""
    torch.manual_seed(seed)
    return CountingExtractor(ImageClassifier(**SHAPE).eval(), f"weights {seed}", dies_at=dies_at)
