"""How real and generated images are compared, in the features that suit their data set."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from lzn.data import ImageArray, dequantise
from lzn.metrics import (
    fit_gaussian,
    frechet_distance,
    median_bandwidth,
    mmd_squared,
    precision_recall,
)
from lzn.networks import ImageClassifier
from stages.feature_networks import inception_weights, read_classifier, read_network_description
from stages.params import ParamsError

CLASSIFIER_BATCH = 1000


class Comparison(Protocol):
    """From real and generated images to numbers by name."""

    def __call__(
        self, real: ImageArray, generated: ImageArray, *, data_name: str, num_neighbours: int
    ) -> dict[str, float]:
        """Numbers by name; ``num_neighbours`` is that of precision and recall."""

    def distance(self, real: ImageArray, generated: ImageArray, *, data_name: str) -> dict[str, float]:
        """The main distance alone, by its name."""


def read_comparison(folder: Path, *, device: torch.device) -> Comparison:
    """The comparison for the network that the stage ``features`` left in ``folder``.

    Raises:
        ParamsError: Inception's weights are gone, or are not those that ``features`` saw.
    """
    description = read_network_description(folder)
    if description["kind"] == "classifier":
        return ClassifierComparison(read_classifier(folder, description), device)
    if description["kind"] == "inception":
        # torch_fidelity takes seconds to import, for nothing where a classifier's features are compared.
        from stages.inception_comparison import InceptionComparison  # noqa: PLC0415

        try:
            return InceptionComparison.load(inception_weights(description), device=device)
        except ValueError as error:  # of a damaged file, or of another network's weights
            raise ParamsError(str(error)) from error
    return NoComparison()


class NoComparison:
    """That of data without a network: there are no numbers."""

    def __call__(
        self, real: ImageArray, generated: ImageArray, *, data_name: str, num_neighbours: int
    ) -> dict[str, float]:
        """Nothing."""
        return {}

    def distance(self, real: ImageArray, generated: ImageArray, *, data_name: str) -> dict[str, float]:
        """Nothing."""
        return {}


@dataclass(frozen=True)
class ClassifierComparison:
    """Distances in the features of the data set's own classifier, named after the data set."""

    classifier: ImageClassifier
    device: torch.device

    def __call__(
        self, real: ImageArray, generated: ImageArray, *, data_name: str, num_neighbours: int
    ) -> dict[str, float]:
        """Frechet distance, MMD, precision and recall."""
        features, features_generated = self.features(real), self.features(generated)
        shares = precision_recall(features, features_generated, num_neighbours=num_neighbours)
        return {
            f"fd_{data_name}": distance_between(features, features_generated),
            f"mmd_{data_name}": mmd_squared(features, features_generated, sigma=median_bandwidth(features)),
            "precision": shares.precision,
            "recall": shares.recall,
        }

    def distance(self, real: ImageArray, generated: ImageArray, *, data_name: str) -> dict[str, float]:
        """Frechet distance between two sets of images."""
        return {f"fd_{data_name}": distance_between(self.features(real), self.features(generated))}

    @torch.no_grad()
    def features(self, images: ImageArray) -> NDArray[np.float32]:
        """Features (n, d)."""
        self.classifier.to(self.device)
        parts = [
            self.classifier.features(dequantise(batch).to(self.device)).cpu().numpy()
            for batch in image_batches(images, CLASSIFIER_BATCH)
        ]
        return np.concatenate(parts)


def image_batches(images: ImageArray, size: int) -> Iterator[NDArray[np.uint8]]:
    """The images in order, up to ``size`` at a time."""
    for start in range(0, len(images), size):
        yield images[start : start + size]


def distance_between(features: NDArray[np.float32], others: NDArray[np.float32]) -> float:
    """Frechet distance between two sets of features (n, d)."""
    return frechet_distance(fit_gaussian(features), fit_gaussian(others))
