"""Squared maximum mean discrepancy: agreement with the definition, closed forms, symmetries, bandwidth."""

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
def test_the_result_in_blocks_equals_the_definition(seed: int, n: int, m: int, sigma: float, block_size: int):
    x, y = normal(seed, n, 5), normal(seed + 1, m, 5) + 0.5
    expected = literal_metrics.mmd_squared(x, y, sigma)
    # Squared distances by a matrix product have an error of eps (|x|^2 + |y|^2), exponents this / (2 sigma^2), with a
    # total weight of 4. The definition adds three means of size 1 with an error of 1e-15 each.
    largest = max(np.square(points).sum(1).max() for points in (x, y))
    tolerance = 1e-14 + 4 * np.finfo(float).eps * 2 * largest / sigma**2
    assert mmd_squared(x, y, sigma=sigma, block_size=block_size) == pytest.approx(expected, abs=tolerance)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(distance=st.floats(0, 20), sigma=st.floats(0.5, 10))
def test_the_discrepancy_of_two_points_equals_the_closed_form(distance: float, sigma: float):
    x, y = np.zeros((1, 2)), np.array([[distance, 0.0]])
    expected = -2 * math.expm1(-(distance**2) / (2 * sigma**2))
    # A few roundings of the exponent, without sums.
    assert mmd_squared(x, y, sigma=sigma) == pytest.approx(expected, rel=1e-13, abs=1e-300)


def test_wide_kernels_lose_no_digits():
    # With sigma = 1e6 the kernel differs from 1 by 1e-12, of which exp keeps only 4 digits.
    x, y = np.zeros((1, 1)), np.array([[2.0]])
    assert mmd_squared(x, y, sigma=1e6) == pytest.approx(4e-12, rel=1e-11)


def test_tight_groups_far_from_the_origin_lose_no_digits():
    x, y = 1e-4 * normal(8, 30, 5), 1e-4 * (normal(9, 30, 5) + 1)
    x, y = x + 1000, y + 1000  # rounded to 1e-13, for both versions
    expected = literal_metrics.mmd_squared(x - 1000, y - 1000, 1e-4)
    # Differences of close float64 numbers are exact; the error of the mean is 1e-13 / 1e-4.
    assert mmd_squared(x, y, sigma=1e-4) == pytest.approx(expected, rel=1e-9)


def test_the_discrepancy_of_normal_samples_approaches_the_population_value():
    n, d, sigma, shift = 2000, 3, 1.5, 1.0
    x, y = normal(0, n, d), normal(1, n, d) + np.array([shift, 0, 0])
    # E k(x, x') for a difference of N(m, 2 I): (1 + 2 / sigma^2)^(-d/2) exp(-|m|^2 / (2 (sigma^2 + 2))).
    height = (1 + 2 / sigma**2) ** (-d / 2)
    population = 2 * height * (1 - math.exp(-(shift**2) / (2 * (sigma**2 + 2))))
    bias = 2 * (1 - height) / n  # from the pairs i = j
    # The standard deviation of the estimate is about 2 sqrt(population / n), 0.005.
    assert mmd_squared(x, y, sigma=sigma) == pytest.approx(population + bias, abs=0.015)


@pytest.mark.parametrize("sigma", [0.1, 1.0, 10.0])
def test_equal_sets_have_discrepancy_zero(sigma: float):
    x = normal(2, 100, 8)
    # Sums over the same pairs in another order.
    assert mmd_squared(x, x[::-1], sigma=sigma, block_size=33) == pytest.approx(0, abs=1e-15)
    # Repeated rows are the same distribution, because pairs i = j are included.
    assert mmd_squared(x, np.repeat(x, 2, axis=0), sigma=sigma) == pytest.approx(0, abs=1e-15)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), shift=st.floats(-5, 5), scale=st.floats(0.1, 10))
def test_the_discrepancy_is_symmetric_and_does_not_change_with_a_shift_or_a_scale_of_sigma(
    seed: int, shift: float, scale: float
):
    x, y = normal(seed, 15, 4), 0.5 * normal(seed + 1, 20, 4)
    expected = mmd_squared(x, y, sigma=1.0)
    assert expected >= 0
    # Distances change by the rounding of the features, 1e-15 relative to their size.
    assert mmd_squared(y, x, sigma=1.0) == pytest.approx(expected, abs=1e-14)
    assert mmd_squared(x + shift, y + shift, sigma=1.0) == pytest.approx(expected, abs=1e-12)
    assert mmd_squared(scale * x, scale * y, sigma=scale) == pytest.approx(expected, abs=1e-13)


def test_the_discrepancy_grows_with_the_distance_between_the_sets():
    x, y = normal(3, 200, 4), normal(4, 200, 4)
    values = [mmd_squared(x, y + shift, sigma=2.0) for shift in (0.0, 0.5, 1.0, 2.0)]
    assert values == sorted(values)
    assert values[0] < 0.1 * values[-1]


def test_the_median_bandwidth_is_the_median_distance_of_all_pairs():
    x = normal(5, 41, 6)
    i, j = np.triu_indices(41, k=1)
    expected = np.median(np.linalg.norm(x[i] - x[j], axis=1))
    # The sum over 6 coordinates has another order.
    assert median_bandwidth(x) == pytest.approx(expected, rel=1e-14)


def test_the_median_bandwidth_of_rows_sorted_by_class_uses_every_class():
    x = np.repeat(np.arange(10.0), 1000)[:, None] + 0.01 * normal(6, 10_000, 1)
    # |i - j| of uniform classes has the median 3; the first rows alone give 0.01.
    assert median_bandwidth(x, max_samples=500) == pytest.approx(3, abs=0.1)


def test_wrong_arguments_are_an_error():
    x = normal(7, 10, 3)
    with pytest.raises(ValueError, match="sigma"):
        mmd_squared(x, x, sigma=0.0)
    with pytest.raises(ValueError, match="the same width"):
        mmd_squared(x, x[:, :2], sigma=1.0)
    with pytest.raises(ValueError, match="block_size"):
        mmd_squared(x, x, sigma=1.0, block_size=0)
    with pytest.raises(ValueError, match="at least 1 rows"):
        mmd_squared(x, x[:0], sigma=1.0)
    with pytest.raises(ValueError, match="pairs of features are equal"):
        median_bandwidth(np.zeros((5, 2)))
    with pytest.raises(ValueError, match="max_samples"):
        median_bandwidth(x, max_samples=1)
