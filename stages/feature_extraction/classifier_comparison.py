"""Distances in the features of a data set's own classifier."""

from collections.abc import Mapping

from lzn.data import ImageArray
from lzn.metrics import median_bandwidth, mmd_squared
from stages.feature_extraction.cache import FeatureCache
from stages.feature_extraction.comparison import (
    Comparison,
    Numbers,
    RealMoments,
    distance_to_real,
    number_or_reason,
    precision_and_recall,
)
from stages.feature_extraction.extractors import ClassifierExtractor
from stages.feature_extraction.made_by import MadeBy


class ClassifierComparison(Comparison):
    """Distances that are named after the data set: ``fd_<data>`` and ``mmd_<data>``, never FID."""

    def __init__(self, extractor: ClassifierExtractor, features: FeatureCache) -> None:
        self._extractor, self._features = extractor, features
        self._moments = RealMoments(features)

    def __call__(
        self, real: ImageArray, generated: ImageArray, *, data_name: str, num_neighbours: int
    ) -> Numbers:
        """Compute Frechet distance, MMD, precision and recall."""
        device = self._features.workers.device
        of_ours, of_real = self._features.of(generated), self._features.of(real)
        ours, theirs = (of.by(self._extractor)["features"] for of in (of_ours, of_real))
        return {
            f"fd_{data_name}": number_or_reason(
                lambda: distance_to_real(of_real, of_ours, self._extractor, "features")
            ),
            f"mmd_{data_name}": number_or_reason(
                lambda: mmd_squared(theirs, ours, sigma=median_bandwidth(theirs), device=device)
            ),
            **precision_and_recall(theirs, ours, num_neighbours=num_neighbours, device=device),
        }

    def made_by(self, *, data_name: str) -> Mapping[str, MadeBy]:
        """Return the classifier, for both distances."""
        made_by = MadeBy("classifier", self._extractor.weights_sha256, "grey levels scaled to [-1, 1]")
        return dict.fromkeys((f"fd_{data_name}", f"mmd_{data_name}"), made_by)

    def distance(self, real: ImageArray, generated: ImageArray, *, data_name: str) -> dict[str, float]:
        """Compute the Frechet distance."""
        return {f"fd_{data_name}": self._moments.distance(real, generated, self._extractor, "features")}
