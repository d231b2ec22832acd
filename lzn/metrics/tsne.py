"""t-SNE of representations, and the spread of classes in it (Figure 18 and the reviews' table)."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lzn.base.extras import from_extra
from lzn.metrics.feature_arrays import Features, require_features

Points = NDArray[np.float64]


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation (divided by n) of points in each dimension of the plane."""

    mean_1: float
    std_1: float
    mean_2: float
    std_2: float

    @staticmethod
    def of(points: Points) -> "Spread":
        """Compute the spread of points (n, 2)."""
        mean, std = points.mean(axis=0), points.std(axis=0)
        return Spread(float(mean[0]), float(std[0]), float(mean[1]), float(std[1]))


@dataclass(frozen=True)
class ClassSpreads:
    """The spread of each class, and of all points."""

    classes: Mapping[int, Spread]
    all: Spread

    @property
    def relative(self) -> float:
        """Mean standard deviation of the classes, divided by that of all points: small for clusters, 1 without them.

        Standard deviations are means over both dimensions. The reviews' table gives 0.25.
        """
        of_classes = [(spread.std_1 + spread.std_2) / 2 for spread in self.classes.values()]
        return float(np.mean(of_classes)) / ((self.all.std_1 + self.all.std_2) / 2)


def tsne_points(features: Features, *, perplexity: float, seed: int) -> Points:
    """Map features (n, d) to points (n, 2): van der Maaten and Hinton 2008, "Visualizing Data using t-SNE".

    The code uses scikit-learn's defaults, which start from the first two principal components. It uses one thread,
    because sums in another order would change every point.

    Raises:
        ValueError: features have a wrong dtype or shape, or ``perplexity`` is not between 0 and n.
    """
    # Import here: scikit-learn takes seconds, and stages without t-SNE do not need it.
    with from_extra("metrics"):
        from sklearn.manifold import TSNE  # noqa: PLC0415
        from threadpoolctl import threadpool_limits  # noqa: PLC0415

    require_features("features", features)
    if not 0 < perplexity < len(features):
        raise ValueError(f"perplexity must lie between 0 and the {len(features)} samples, got {perplexity}")
    with threadpool_limits(limits=1):
        points = TSNE(perplexity=perplexity, random_state=seed % 2**32).fit_transform(features)
    return np.asarray(points, dtype=np.float64)


def class_spreads(points: Points, labels: NDArray[np.integer]) -> ClassSpreads:
    """Compute the spread of each class, and of all, from points (n, 2) with labels (n,).

    Raises:
        ValueError: shapes are wrong, or there are no points.
    """
    if points.ndim != 2 or points.shape[1] != 2 or labels.shape != points.shape[:1] or labels.size == 0:
        raise ValueError(
            f"points must be (n, 2) with labels (n,), n > 0, got {points.shape} and {labels.shape}"
        )
    classes = {int(label): Spread.of(points[labels == label]) for label in np.unique(labels)}
    return ClassSpreads(classes, Spread.of(points))
