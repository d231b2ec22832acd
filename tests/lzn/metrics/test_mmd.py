import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lzn_testing.oracles import literal_metrics

from lzn.metrics import median_bandwidth, mmd_squared


def normal(seed: int, n: int, d: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(1, 40),
    m=st.integers(1, 40),
    sigma=st.floats(0.3, 10),
    block_size=st.integers(1, 50),
)
def test_blocked_result_is_the_literal_one(seed: int, n: int, m: int, sigma: float, block_size: int):
    x, y = normal(seed, n, 5), normal(seed + 1, m, 5) + 0.5
    expected = literal_metrics.mmd_squared(x, y, sigma)
    # Squared distances by a matrix product are right to some eps (|x|^2 + |y|^2), exponents to that / (2 sigma^2), and
    # each enters with a weight of 4 in all; the literal version cancels three means of size 1, right to 1e-15 each.
    largest = max(np.square(points).sum(1).max() for points in (x, y))
    tolerance = 1e-14 + 4 * np.finfo(float).eps * 2 * largest / sigma**2
    assert mmd_squared(x, y, sigma=sigma, block_size=block_size) == pytest.approx(expected, abs=tolerance)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(distance=st.floats(0, 20), sigma=st.floats(0.5, 10))
def test_two_points_have_the_closed_form(distance: float, sigma: float):
    x, y = np.zeros((1, 2)), np.array([[distance, 0.0]])
    expected = -2 * math.expm1(-(distance**2) / (2 * sigma**2))
    # No sums: a few roundings of the exponent.
    assert mmd_squared(x, y, sigma=sigma) == pytest.approx(expected, rel=1e-13, abs=1e-300)


def test_wide_kernels_keep_their_digits():
    # With sigma = 1e6 the kernel differs from 1 by 1e-12: exp alone would leave 4 digits of it.
    x, y = np.zeros((1, 1)), np.array([[2.0]])
    assert mmd_squared(x, y, sigma=1e6) == pytest.approx(4e-12, rel=1e-11)


def test_tight_groups_far_from_the_origin_keep_their_digits():
    x, y = 1e-4 * normal(8, 30, 5), 1e-4 * (normal(9, 30, 5) + 1)
    x, y = x + 1000, y + 1000  # rounded to 1e-13 here, before both versions see them
    expected = literal_metrics.mmd_squared(x - 1000, y - 1000, 1e-4)
    # Differences of float64 neighbours are exact, so only 1e-13 / 1e-4 of the mean's rounding could matter.
    assert mmd_squared(x, y, sigma=1e-4) == pytest.approx(expected, rel=1e-9)


def test_normal_samples_approach_the_population_value():
    n, d, sigma, shift = 2000, 3, 1.5, 1.0
    x, y = normal(0, n, d), normal(1, n, d) + np.array([shift, 0, 0])
    # E k(x, x') for a difference of N(m, 2 I): (1 + 2 / sigma^2)^(-d/2) exp(-|m|^2 / (2 (sigma^2 + 2))).
    height = (1 + 2 / sigma**2) ** (-d / 2)
    population = 2 * height * (1 - math.exp(-(shift**2) / (2 * (sigma**2 + 2))))
    bias = 2 * (1 - height) / n  # of the pairs i = j
    # The standard deviation of the estimate is about 2 sqrt(population / n), 0.005.
    assert mmd_squared(x, y, sigma=sigma) == pytest.approx(population + bias, abs=0.015)


@pytest.mark.parametrize("sigma", [0.1, 1.0, 10.0])
def test_equal_sets_have_no_discrepancy(sigma: float):
    x = normal(2, 100, 8)
    # Sums over the same pairs in another order.
    assert mmd_squared(x, x[::-1], sigma=sigma, block_size=33) == pytest.approx(0, abs=1e-15)
    # Each row twice is the same distribution, since pairs i = j are included.
    assert mmd_squared(x, np.repeat(x, 2, axis=0), sigma=sigma) == pytest.approx(0, abs=1e-15)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), shift=st.floats(-5, 5), scale=st.floats(0.1, 10))
def test_discrepancy_is_symmetric_shift_free_and_scales_with_sigma(seed: int, shift: float, scale: float):
    x, y = normal(seed, 15, 4), 0.5 * normal(seed + 1, 20, 4)
    expected = mmd_squared(x, y, sigma=1.0)
    assert expected >= 0
    # Distances change by the rounding of the features, 1e-15 relative to their size.
    assert mmd_squared(y, x, sigma=1.0) == pytest.approx(expected, abs=1e-14)
    assert mmd_squared(x + shift, y + shift, sigma=1.0) == pytest.approx(expected, abs=1e-12)
    assert mmd_squared(scale * x, scale * y, sigma=scale) == pytest.approx(expected, abs=1e-13)


def test_discrepancy_grows_with_the_distance_between_the_sets():
    x, y = normal(3, 200, 4), normal(4, 200, 4)
    values = [mmd_squared(x, y + shift, sigma=2.0) for shift in (0.0, 0.5, 1.0, 2.0)]
    assert values == sorted(values)
    assert values[0] < 0.1 * values[-1]


def test_median_bandwidth_is_the_median_distance_of_all_pairs():
    x = normal(5, 41, 6)
    i, j = np.triu_indices(41, k=1)
    expected = np.median(np.linalg.norm(x[i] - x[j], axis=1))
    # Another order of the sum over 6 coordinates.
    assert median_bandwidth(x) == pytest.approx(expected, rel=1e-14)


def test_median_bandwidth_of_rows_sorted_by_class_sees_every_class():
    x = np.repeat(np.arange(10.0), 1000)[:, None] + 0.01 * normal(6, 10_000, 1)
    # |i - j| of uniform classes has median 3; only the first rows would give 0.01.
    assert median_bandwidth(x, max_samples=500) == pytest.approx(3, abs=0.1)


def test_malformed_arguments_are_refused():
    x = normal(7, 10, 3)
    with pytest.raises(ValueError, match="sigma"):
        mmd_squared(x, x, sigma=0.0)
    with pytest.raises(ValueError, match="of one width"):
        mmd_squared(x, x[:, :2], sigma=1.0)
    with pytest.raises(ValueError, match="block_size"):
        mmd_squared(x, x, sigma=1.0, block_size=0)
    with pytest.raises(ValueError, match="at least 1 rows"):
        mmd_squared(x, x[:0], sigma=1.0)
    with pytest.raises(ValueError, match="pairs of features are equal"):
        median_bandwidth(np.zeros((5, 2)))
    with pytest.raises(ValueError, match="max_samples"):
        median_bandwidth(x, max_samples=1)
