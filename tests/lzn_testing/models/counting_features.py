"""A small classifier as an extractor that counts the batches it makes, and can die at one; for other processes too."""

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
    """Ends its process, as a kill does, instead of making batch number ``dies_at``."""

    batch_size: int = BATCH_SIZE
    dies_at: int | None = None
    made: list[int] = field(default_factory=list)

    def extract(self, prepared: Tensor) -> Tensor:
        """Features, counted."""
        if len(self.made) == self.dies_at:
            os._exit(9)
        self.made.append(len(prepared))
        return super().extract(prepared)


def counting_extractor(*, seed: int = 0, dies_at: int | None = None) -> CountingExtractor:
    """With random weights; the seed stands for their hash."""
    torch.manual_seed(seed)
    return CountingExtractor(ImageClassifier(**SHAPE).eval(), f"weights {seed}", dies_at=dies_at)
