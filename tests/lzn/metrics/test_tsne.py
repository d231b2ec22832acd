import numpy as np
import pytest

from lzn.metrics import class_spreads, tsne_points
from lzn.metrics.tsne import ClassSpreads, Spread


def clusters(seed: int, *, distance: float) -> tuple[np.ndarray, np.ndarray]:
    """Three classes of 40 points in ten dimensions, around points at this distance from the origin."""
    rng = np.random.default_rng(seed)
    labels = np.arange(120) % 3
    return (distance * np.eye(10)[labels] + rng.normal(size=(120, 10))).astype(np.float32), labels


def test_means_and_deviations_are_those_of_each_class_and_of_all() -> None:
    points = np.array([[0.0, 0.0], [2.0, 4.0], [10.0, 10.0], [10.0, 10.0]])
    found = class_spreads(points, np.array([7, 7, 3, 3]))
    assert found.classes == {3: Spread(10, 0, 10, 0), 7: Spread(1, 1, 2, 2)}
    assert found.all == Spread(5.5, pytest.approx(points[:, 0].std()), 6, pytest.approx(points[:, 1].std()))


def test_the_relative_deviation_of_the_reviews_table_is_a_quarter() -> None:
    """Three rows of it: deviations of 3.07 and 4.57, 4.29 and 2.52, 2.43 and 3.91, with 20.20 and 17.72 of all."""
    rows = {859: (3.07, 4.57), 298: (4.29, 2.52), 553: (2.43, 3.91)}
    classes = {label: Spread(0.0, first, 0.0, second) for label, (first, second) in rows.items()}
    found = ClassSpreads(classes, Spread(0.61, 20.20, 0.41, 17.72))
    assert found.relative == pytest.approx((3.82 + 3.405 + 3.17) / 3 / 18.96)


def test_separate_classes_are_small_clusters_of_the_plane_and_mixed_ones_are_not() -> None:
    relative = []
    for distance in (20.0, 0.0):
        features, labels = clusters(0, distance=distance)
        relative.append(class_spreads(tsne_points(features, perplexity=10, seed=0), labels).relative)
    # Three clusters that do not touch; classes without a difference cover the same ground: 1 but for chance.
    assert relative[0] < 0.5
    assert relative[1] == pytest.approx(1.0, abs=0.15)


def test_the_same_seed_gives_the_same_points() -> None:
    features, _ = clusters(1, distance=5.0)
    first, same = (tsne_points(features, perplexity=10, seed=2**40 + 3) for _ in range(2))
    assert first.shape == (120, 2)
    assert np.array_equal(first, same)


def test_what_cannot_be_shown_is_refused_in_words() -> None:
    features, labels = clusters(2, distance=5.0)
    with pytest.raises(ValueError, match="perplexity must lie between 0 and the 120 samples, got 120"):
        tsne_points(features, perplexity=120, seed=0)
    with pytest.raises(ValueError, match="NaN"):
        tsne_points(features * np.float32(np.nan), perplexity=10, seed=0)
    with pytest.raises(ValueError, match=r"points must be \(n, 2\) with labels \(n,\)"):
        class_spreads(features, labels)
