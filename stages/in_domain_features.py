"""Features of images from the classifier that the ``features`` stage trained on the size's own data."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from lzn.data import dequantise
from lzn.networks import ImageClassifier
from stages.dataset_files import write_json
from stages.weights import load_weights, save_weights

BATCH_SIZE = 1000


@dataclass(frozen=True)
class ClassifierShape:
    """What rebuilds the classifier: the keyword arguments of `ImageClassifier`."""

    image_size: int
    image_channels: int
    num_classes: int
    base_channels: int
    feature_dim: int

    def build(self) -> ImageClassifier:
        """The classifier with its initial weights."""
        return ImageClassifier(**asdict(self))


def write_classifier(folder: Path, shape: ClassifierShape, classifier: ImageClassifier) -> None:
    """Write weights and shape."""
    save_weights(classifier, folder / "weights.safetensors")
    write_json(folder / "classifier.json", asdict(shape))


def read_classifier(folder: Path) -> ImageClassifier:
    """The classifier, in evaluation mode."""
    shape = ClassifierShape(**json.loads((folder / "classifier.json").read_text()))
    return load_weights(shape.build().eval(), folder / "weights.safetensors")


@torch.no_grad()
def extract_features(
    classifier: ImageClassifier, images: NDArray[np.uint8], device: torch.device
) -> NDArray[np.float32]:
    """Features (n, d) of images (n, c, h, w)."""
    classifier.to(device)
    parts = [
        classifier.features(dequantise(images[start : start + BATCH_SIZE]).to(device)).cpu().numpy()
        for start in range(0, len(images), BATCH_SIZE)
    ]
    return np.concatenate(parts)
