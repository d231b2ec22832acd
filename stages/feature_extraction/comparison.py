"""How real and generated images are compared, in the features that suit their data set."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from lzn.base.sections import ParamsError
from lzn.data import ImageArray
from lzn.metrics import (
    Gaussian,
    fit_gaussian,
    frechet_distance,
    median_bandwidth,
    mmd_squared,
    precision_recall,
)
from lzn.metrics.feature_arrays import Features
from stages.feature_extraction.cache import FeatureCache
from stages.feature_extraction.extraction import Workers
from stages.feature_extraction.extractors import ClassifierExtractor, FeatureExtractor
from stages.feature_extraction.networks import (
    classifier_sha256,
    clip_weights,
    inception_weights,
    read_classifier,
    read_network_description,
)


class Comparison(ABC):
    """From real and generated images to numbers by name."""

    @abstractmethod
    def __call__(
        self, real: ImageArray, generated: ImageArray, *, data_name: str, num_neighbours: int
    ) -> dict[str, float]:
        """All numbers by name; ``num_neighbours`` is that of precision and recall."""

    @abstractmethod
    def distance(self, real: ImageArray, generated: ImageArray, *, data_name: str) -> dict[str, float]:
        """The one main distance by its name; none where images are not compared.

        What is known of the real images is kept for the next call with the same array, which must not have changed.
        """


def read_comparison(
    folder: Path, *, device: torch.device, cache: Path, processes: int | None = None
) -> Comparison:
    """The comparison for the network that the stage ``features`` left in ``folder``.

    Features are made on ``device`` and kept in the folder ``cache``. ``processes`` is how many make them; None: one for
    each CUDA device, or one.

    Raises:
        ParamsError: weights of Inception or CLIP are gone, or are not those that ``features`` saw.
    """
    description = read_network_description(folder)
    features = FeatureCache(cache, Workers(device, processes))
    if description["kind"] == "classifier":
        classifier = read_classifier(folder, description)
        return ClassifierComparison(ClassifierExtractor(classifier, classifier_sha256(folder)), features)
    if description["kind"] == "inception":
        # torch_fidelity takes seconds to import, for nothing where a classifier's features are compared.
        from stages.feature_extraction.inception import InceptionComparison  # noqa: PLC0415

        try:
            return InceptionComparison.load(
                inception_weights(description), clip=clip_weights(description), features=features
            )
        except ValueError as error:  # of a damaged file, or of another network's weights
            raise ParamsError(str(error)) from error
    return NoComparison()


class NoComparison(Comparison):
    """For data sets without a network to compare images in."""

    def __call__(
        self, real: ImageArray, generated: ImageArray, *, data_name: str, num_neighbours: int
    ) -> dict[str, float]:
        """Nothing."""
        return {}

    def distance(self, real: ImageArray, generated: ImageArray, *, data_name: str) -> dict[str, float]:
        """None."""
        return {}


class ClassifierComparison(Comparison):
    """Distances in the features of the data set's own classifier, named after the data set."""

    def __init__(self, extractor: ClassifierExtractor, features: FeatureCache) -> None:
        self._extractor, self._features = extractor, features
        self._moments = RealMoments(features)

    def __call__(
        self, real: ImageArray, generated: ImageArray, *, data_name: str, num_neighbours: int
    ) -> dict[str, float]:
        """Frechet distance, MMD, precision and recall."""
        device = self._features.workers.device
        ours, theirs = (
            self._features.of(images).by(self._extractor)["features"] for images in (generated, real)
        )
        shares = precision_recall(theirs, ours, num_neighbours=num_neighbours, device=device)
        mmd = mmd_squared(theirs, ours, sigma=median_bandwidth(theirs), device=device)
        return {
            f"fd_{data_name}": distance_between(theirs, ours),
            f"mmd_{data_name}": mmd,
            "precision": shares.precision,
            "recall": shares.recall,
        }

    def distance(self, real: ImageArray, generated: ImageArray, *, data_name: str) -> dict[str, float]:
        """The Frechet distance."""
        return {f"fd_{data_name}": self._moments.distance(real, generated, self._extractor, "features")}


@dataclass
class RealMoments:
    """Frechet distances of many sets of images to one: mean and covariance of the last real set are kept.

    The features of the real images are kept in the cache, those of the others are not.
    """

    features: FeatureCache
    _real: ImageArray | None = None
    _moments: Gaussian | None = None

    def distance(
        self, real: ImageArray, generated: ImageArray, extractor: FeatureExtractor, name: str
    ) -> float:
        """The distance in the features ``name`` that ``extractor`` makes."""
        if self._moments is None or self._real is not real:
            self._moments = fit_gaussian(self.features.of(real).by(extractor)[name])
            self._real = real
        # Images that are drawn for one number leave no features behind: Inception's of 50 000 are a gigabyte.
        with TemporaryDirectory(dir=self.features.folder) as unkept:
            passing = replace(self.features, folder=Path(unkept))
            ours = fit_gaussian(passing.of(generated).by(extractor)[name])
        return frechet_distance(self._moments, ours)


def distance_between(features: Features, others: Features) -> float:
    """Frechet distance between two sets of features (n, d)."""
    return frechet_distance(fit_gaussian(features), fit_gaussian(others))
