"""Fitted Gaussians and the Frechet distance: closed forms, other implementations, symmetries, memory."""

import math
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from cleanfid.fid import fid_from_feats
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm
from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric

from lzn.metrics import Gaussian, fit_gaussian, frechet_distance, mmd_squared, precision_recall


def diagonal(mean: np.ndarray, deviations: np.ndarray) -> Gaussian:
    return Gaussian(mean=mean, covariance=np.diag(deviations**2), count=10_000)


def normal_features(seed: int, n: int, d: int, *, scale: float = 1.0, shift: float = 0.0) -> np.ndarray:
    return scale * np.random.default_rng(seed).normal(size=(n, d)) + shift


def trace_of_root_from_samples(x: np.ndarray, y: np.ndarray) -> float:
    """Compute tr((S_1 S_2)^(1/2)) as the nuclear norm of the product of the centred samples, exact for any rank."""
    product = (x - x.mean(0)) @ (y - y.mean(0)).T / math.sqrt((len(x) - 1) * (len(y) - 1))
    return float(np.linalg.svd(product, compute_uv=False).sum())


def distance_from_samples(x: np.ndarray, y: np.ndarray) -> float:
    shift = ((x.mean(0) - y.mean(0)) ** 2).sum()
    return shift + x.var(0, ddof=1).sum() + y.var(0, ddof=1).sum() - 2 * trace_of_root_from_samples(x, y)


def test_the_fitted_gaussian_has_the_sample_mean_and_unbiased_covariance():
    features = normal_features(0, 50, 4, shift=3)
    gaussian = fit_gaussian(features)
    assert gaussian.count == 50
    # Float64 sums of 50 terms in another order.
    np.testing.assert_allclose(gaussian.mean, features.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(gaussian.covariance, np.cov(features, rowvar=False), rtol=1e-12, atol=1e-14)


def test_float32_features_are_accumulated_in_float64():
    features = normal_features(1, 2000, 3, shift=1000.0).astype(np.float32)
    expected = np.cov(features.astype(np.float64), rowvar=False)
    # Float32 sums of numbers around 1000 are wrong by 1e-2; centred float64 sums keep 12 digits.
    np.testing.assert_allclose(fit_gaussian(features).covariance, expected, rtol=1e-10, atol=1e-12)


def test_fitting_does_not_change_the_features():
    features = normal_features(2, 10, 3)
    before = features.copy()
    fit_gaussian(features)
    assert np.array_equal(features, before)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), n=st.integers(2, 60), block_size=st.integers(1, 70))
def test_merged_blocks_have_the_moments_of_all_features(seed: int, n: int, block_size: int):
    features = normal_features(seed, n, 5, scale=1e-3, shift=1000.0)
    gaussian = fit_gaussian(features, block_size=block_size)
    # Features around 1000 with a deviation of 1e-3 are rounded to 1e-13; sums of 60 features.
    np.testing.assert_allclose(gaussian.mean, features.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(gaussian.covariance, np.cov(features, rowvar=False), rtol=1e-8, atol=1e-14)


@pytest.mark.parametrize("metric", ["moments", "precision and recall", "MMD"])
def test_only_blocks_of_features_are_copied_to_float64(metric: str, tmp_path: Path):
    n, d, block_size = 3000, 512, 64
    np.save(tmp_path / "features.npy", normal_features(14, n, d).astype(np.float32))
    features = np.load(tmp_path / "features.npy", mmap_mode="r")
    few = features[:100]
    tracemalloc.start()
    if metric == "moments":
        fit_gaussian(features, block_size=block_size)
    elif metric == "MMD":
        mmd_squared(features, few, sigma=1.0, block_size=block_size)
    else:
        precision_recall(few, features, block_size=block_size)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # All features are 12 MB in float64; a block is 0.3 MB, two covariances 4 MB, the NaN check one byte per number.
    assert peak < n * d * 8 / 2


@pytest.mark.filterwarnings("ignore:The `disp` argument:DeprecationWarning")  # clean-fid's call of sqrtm
@pytest.mark.parametrize(("n", "d"), [(400, 64), (100, 5)])
def test_the_distance_equals_that_of_torch_fidelity_and_clean_fid_on_the_same_features(n: int, d: int):
    mixing = normal_features(15, d, d)
    x = (normal_features(16, n, d) @ mixing).astype(np.float32)
    y = (normal_features(17, n, d, scale=1.1, shift=0.3) @ mixing).astype(np.float32)
    distance = frechet_distance(fit_gaussian(x), fit_gaussian(y))
    statistics = [fid_features_to_statistics(torch.from_numpy(features)) for features in (x, y)]
    expected = fid_statistics_to_metric(*statistics, verbose=False)[KEY_METRIC_FID]
    # Their means are float32.
    assert distance == pytest.approx(expected, rel=1e-6)
    assert distance == pytest.approx(fid_from_feats(x, y), rel=1e-6)


def test_noise_and_a_lost_mode_increase_the_distance():
    rng = np.random.default_rng(18)
    centres = 5 * np.eye(4)
    real = centres[rng.integers(0, 4, 800)] + rng.normal(size=(800, 4))
    moments = fit_gaussian(real)
    noise = rng.normal(size=real.shape)
    noisy = [
        frechet_distance(moments, fit_gaussian(real + deviation * noise)) for deviation in (0, 0.3, 1, 3)
    ]
    assert noisy == sorted(noisy)
    assert noisy[0] < 1e-6 < noisy[1]
    collapsed = centres[0] + rng.normal(size=(800, 4))
    assert frechet_distance(moments, fit_gaussian(collapsed)) > noisy[1]


@settings(max_examples=50, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), d=st.integers(1, 20))
def test_the_distance_of_diagonal_gaussians_equals_the_closed_form(seed: int, d: int):
    rng = np.random.default_rng(seed)
    means, deviations = rng.normal(size=(2, d)), rng.uniform(0, 3, size=(2, d))
    distance = frechet_distance(diagonal(means[0], deviations[0]), diagonal(means[1], deviations[1]))
    expected = ((means[0] - means[1]) ** 2).sum() + ((deviations[0] - deviations[1]) ** 2).sum()
    # Differences of traces below 9 d, each with a relative error of 1e-14.
    assert distance == pytest.approx(expected, abs=1e-11)


def test_the_distance_equals_the_one_from_the_matrix_square_root_where_that_is_accurate():
    real, generated = (fit_gaussian(normal_features(seed, 500, 16, scale=seed)) for seed in (3, 4))
    root = sqrtm(real.covariance @ generated.covariance).real
    expected = ((real.mean - generated.mean) ** 2).sum() + np.trace(
        real.covariance + generated.covariance - 2 * root
    )
    # sqrtm of a well-conditioned product keeps about 12 digits; traces are around 400.
    assert frechet_distance(real, generated) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("n", "m"), [(20, 30), (30, 20), (20, 20), (10, 500), (2, 2)])
def test_the_distance_is_exact_for_singular_covariances(n: int, m: int):
    x, y = normal_features(5, n, 100), normal_features(6, m, 100, scale=1.3, shift=0.2)
    expected = distance_from_samples(x, y)
    # Traces are around 270 with a relative error of 1e-14; no root of an eigenvalue that should be 0 is taken.
    assert frechet_distance(fit_gaussian(x), fit_gaussian(y)) == pytest.approx(expected, abs=1e-10)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), n=st.integers(2, 40), m=st.integers(2, 40))
def test_the_distance_is_symmetric_and_not_negative(seed: int, n: int, m: int):
    x, y = (
        fit_gaussian(normal_features(seed, n, 12)),
        fit_gaussian(normal_features(seed + 1, m, 12, scale=0.5)),
    )
    distance = frechet_distance(x, y)
    assert distance >= 0
    # With singular covariances the two calls use other factors; rounding is up to 12 sqrt(1e-15).
    assert distance == pytest.approx(frechet_distance(y, x), abs=1e-6)


@pytest.mark.parametrize("n", [5, 40, 400])
def test_equal_sets_have_distance_zero(n: int):
    gaussian = fit_gaussian(normal_features(7, n, 40))
    # Traces are around 40, with roots of up to 40 eigenvalues of the size of rounding errors.
    assert frechet_distance(gaussian, gaussian) == pytest.approx(0, abs=1e-6)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), scale=st.floats(0.1, 10))
def test_scaling_the_features_scales_the_distance_by_the_square(seed: int, scale: float):
    x, y = normal_features(seed, 60, 5), normal_features(seed + 1, 60, 5, shift=0.5)
    distance = frechet_distance(fit_gaussian(x), fit_gaussian(y))
    scaled = frechet_distance(fit_gaussian(scale * x), fit_gaussian(scale * y))
    # Relative rounding of 1e-13; traces are a hundred times the distance.
    assert scaled == pytest.approx(scale**2 * distance, rel=1e-9)


def test_shifting_one_set_adds_the_squared_shift():
    x = normal_features(8, 200, 6)
    # The covariances are equal up to the rounding by the shift.
    assert frechet_distance(fit_gaussian(x), fit_gaussian(x + 2.0)) == pytest.approx(6 * 4, abs=1e-9)


def test_rotation_and_permutation_do_not_change_the_distance():
    x, y = normal_features(9, 80, 6, scale=2), normal_features(10, 90, 6)
    orthogonal, _ = np.linalg.qr(normal_features(11, 6, 6))
    order = np.random.default_rng(12).permutation(80)
    expected = frechet_distance(fit_gaussian(x), fit_gaussian(y))
    rotated = frechet_distance(fit_gaussian((x @ orthogonal)[order]), fit_gaussian(y @ orthogonal))
    # Float64 rounding in another basis.
    assert rotated == pytest.approx(expected, abs=1e-10)


def test_the_distance_from_constant_features_is_the_second_moment_around_them():
    point, cloud = fit_gaussian(np.zeros((10, 3))), fit_gaussian(normal_features(13, 100, 3))
    expected = (cloud.mean**2).sum() + np.trace(cloud.covariance)
    # The product of the covariances is exactly 0.
    assert frechet_distance(point, cloud) == pytest.approx(expected, rel=1e-14)
    assert frechet_distance(point, point) == 0


def test_wrong_features_are_an_error():
    with pytest.raises(ValueError, match="at least 2 rows"):
        fit_gaussian(np.zeros((1, 3)))
    with pytest.raises(ValueError, match="NaN"):
        fit_gaussian(np.array([[1.0], [math.nan]]))
    with pytest.raises(ValueError, match=r"\(n, d\)"):
        fit_gaussian(np.zeros(5))
    with pytest.raises(ValueError, match="floating point"):
        fit_gaussian(np.zeros((5, 2), dtype=np.uint8))
    with pytest.raises(ValueError, match="same number of dimensions"):
        frechet_distance(fit_gaussian(np.eye(3)), fit_gaussian(np.eye(4)))
