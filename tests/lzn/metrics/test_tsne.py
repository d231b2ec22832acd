"""t-SNE points and the spread of classes."""

import numpy as np
import pytest

from lzn.metrics import class_spreads, tsne_points
from lzn.metrics.tsne import ClassSpreads, Spread


def clusters(seed: int, *, distance: float) -> tuple[np.ndarray, np.ndarray]:
    """Return 40 points of each of three classes in ten dimensions, around centres at a distance, and labels."""
    rng = np.random.default_rng(seed)
    labels = np.arange(120) % 3
    return (distance * np.eye(10)[labels] + rng.normal(size=(120, 10))).astype(np.float32), labels


def test_spreads_are_the_means_and_deviations_of_each_class_and_of_all_points() -> None:
    points = np.array([[0.0, 0.0], [2.0, 4.0], [10.0, 10.0], [10.0, 10.0]])
    spreads = class_spreads(points, np.array([7, 7, 3, 3]))
    assert spreads.classes == {3: Spread(10, 0, 10, 0), 7: Spread(1, 1, 2, 2)}
    assert spreads.all == Spread(5.5, pytest.approx(points[:, 0].std()), 6, pytest.approx(points[:, 1].std()))


def test_the_relative_deviation_equals_that_of_the_table_in_the_reviews() -> None:
    """Three rows of the table, and the row of all points (20.20 and 17.72)."""
    rows = {859: (3.07, 4.57), 298: (4.29, 2.52), 553: (2.43, 3.91)}
    classes = {label: Spread(0.0, first, 0.0, second) for label, (first, second) in rows.items()}
    spreads = ClassSpreads(classes, Spread(0.61, 20.20, 0.41, 17.72))
    assert spreads.relative == pytest.approx((3.82 + 3.405 + 3.17) / 3 / 18.96)


def test_separate_classes_have_a_small_relative_deviation_and_mixed_ones_about_one() -> None:
    relative = []
    for distance in (20.0, 0.0):
        features, labels = clusters(0, distance=distance)
        relative.append(class_spreads(tsne_points(features, perplexity=10, seed=0), labels).relative)
    # Separate classes are three distinct clusters. Equal classes have the same spread as all points, up to chance.
    assert relative[0] < 0.5
    assert relative[1] == pytest.approx(1.0, abs=0.15)


def test_the_same_seed_gives_the_same_points() -> None:
    features, _ = clusters(1, distance=5.0)
    first, same = (tsne_points(features, perplexity=10, seed=2**40 + 3) for _ in range(2))
    assert first.shape == (120, 2)
    assert np.array_equal(first, same)


def test_wrong_arguments_are_an_error() -> None:
    features, labels = clusters(2, distance=5.0)
    with pytest.raises(ValueError, match="perplexity must lie between 0 and the 120 samples, got 120"):
        tsne_points(features, perplexity=120, seed=0)
    with pytest.raises(ValueError, match="NaN"):
        tsne_points(features * np.float32(np.nan), perplexity=10, seed=0)
    with pytest.raises(ValueError, match=r"points must be \(n, 2\) with labels \(n,\)"):
        class_spreads(features, labels)
