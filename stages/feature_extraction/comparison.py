"""From real and generated images to numbers: the interface, and Frechet distances of features."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from lzn.data import ImageArray
from lzn.metrics import Gaussian, fit_gaussian, frechet_distance, precision_recall
from lzn.metrics.feature_arrays import Features
from stages.feature_extraction.cache import FeatureCache, ImageFeatures
from stages.feature_extraction.extractors import FeatureExtractor
from stages.feature_extraction.made_by import MadeBy

Numbers = dict[str, float | str]
"""Numbers by name; a number that cannot be computed is replaced by the reason."""


def number_or_reason(compute: Callable[[], float]) -> float | str:
    """Return a number, or the message of the ValueError that says why it cannot be computed."""
    try:
        return compute()
    except ValueError as error:
        return str(error)


def precision_and_recall(
    real: Features, generated: Features, *, num_neighbours: int, device: torch.device
) -> Numbers:
    """Return precision and recall, or for both the reason why they cannot be computed."""
    try:
        shares = precision_recall(real, generated, num_neighbours=num_neighbours, device=device)
    except ValueError as error:
        return {"precision": str(error), "recall": str(error)}
    return {"precision": shares.precision, "recall": shares.recall}


class Comparison(ABC):
    """Compares generated with real images."""

    @abstractmethod
    def __call__(
        self, real: ImageArray, generated: ImageArray, *, data_name: str, num_neighbours: int
    ) -> Numbers:
        """Compute all numbers by name; ``num_neighbours`` is for precision and recall."""

    @abstractmethod
    def distance(self, real: ImageArray, generated: ImageArray, *, data_name: str) -> dict[str, float]:
        """Compute the main distance alone, by its name; empty without a feature network.

        The statistics of the real images are kept for the next call with the same array object, which must not change.
        """

    @abstractmethod
    def made_by(self, *, data_name: str) -> Mapping[str, MadeBy]:
        """Return the network and preprocessing of each distance by its name; see `stages.measuring.recipes`."""


class NoComparison(Comparison):
    """For data sets without a feature network."""

    def __call__(
        self, real: ImageArray, generated: ImageArray, *, data_name: str, num_neighbours: int
    ) -> Numbers:
        """Return no numbers."""
        return {}

    def distance(self, real: ImageArray, generated: ImageArray, *, data_name: str) -> dict[str, float]:
        """Return no number."""
        return {}

    def made_by(self, *, data_name: str) -> Mapping[str, MadeBy]:
        """Return nothing: there is no distance."""
        return {}


@dataclass
class RealMoments:
    """Frechet distances of many sets of images to one real set, whose mean and covariance are computed once.

    The features of the real images are stored in the cache; those of the other images are not.
    """

    features: FeatureCache
    _real: ImageArray | None = None
    _moments: Gaussian | None = None

    def distance(
        self, real: ImageArray, generated: ImageArray, extractor: FeatureExtractor, name: str
    ) -> float:
        """Compute the distance in the features ``name`` of ``extractor``."""
        if self._moments is None or self._real is not real:
            self._moments = self.features.of(real).gaussian(extractor, name)
            self._real = real
        # These images are drawn for one number. Inception's features of 50 000 images take 1 GB, so they are deleted.
        with TemporaryDirectory(dir=self.features.folder) as folder:
            temporary = replace(self.features, folder=Path(folder))
            ours = fit_gaussian(temporary.of(generated).by(extractor)[name])
        return frechet_distance(self._moments, ours)


def distance_to_real(
    real: ImageFeatures, generated: ImageFeatures, extractor: FeatureExtractor, name: str
) -> float:
    """Compute the Frechet distance in the features ``name``; mean and covariance of the real images are stored."""
    return frechet_distance(real.gaussian(extractor, name), fit_gaussian(generated.by(extractor)[name]))
