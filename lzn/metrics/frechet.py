"""Frechet distance between Gaussians fitted to features: FID and sFID.

Source: Heusel et al. 2017, "GANs Trained by a Two Time-Scale Update Rule", equation 6:

    d^2 = |m_1 - m_2|^2 + tr(S_1) + tr(S_2) - 2 tr((S_1 S_2)^(1/2))

The distance is called FID only with the features of Inception-2015-12-05.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lzn.metrics.feature_arrays import Features, require_features, row_blocks

Float64Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Gaussian:
    """Mean (d,) and covariance (d, d) of `count` samples, in float64."""

    mean: Float64Array
    covariance: Float64Array
    count: int


def fit_gaussian(features: Features, *, block_size: int = 1024) -> Gaussian:
    """Compute the sample mean and the unbiased covariance (divided by n - 1) of features (n, d).

    Only `block_size` rows at a time are float64. Each block is centred on its mean, and the means and scatter matrices
    are merged (Chan, Golub and LeVeque 1983, "Algorithms for Computing the Sample Variance", equation 2.1).

    Raises:
        ValueError: the features are not finite, not (n, d), or fewer than two, or `block_size` is less than 1.
    """
    require_features("features", features, at_least=2)
    width = features.shape[1]
    count, mean, scatter = 0, np.zeros(width), np.zeros((width, width))
    for rows in row_blocks(len(features), block_size):
        block = features[rows].astype(np.float64)
        block_mean = block.mean(axis=0)
        block -= block_mean
        shift = block_mean - mean
        share = len(block) / (count + len(block))
        scatter += block.T @ block
        scatter += (count * share) * np.outer(shift, shift)
        mean += share * shift
        count += len(block)
    return Gaussian(mean=mean, covariance=scatter / (count - 1), count=count)


def frechet_distance(real: Gaussian, generated: Gaussian) -> float:
    """Compute d^2 above, which is symmetric and 0 for equal Gaussians.

    With S_1 = F F^T, the non-zero eigenvalues of S_1 S_2 are those of the symmetric matrix F^T S_2 F. Two symmetric
    eigenproblems give them, also for singular covariances (fewer samples than dimensions).

    Raises:
        ValueError: the Gaussians have different dimensions.
    """
    if real.mean.shape != generated.mean.shape:
        raise ValueError(
            f"both Gaussians must have the same number of dimensions, got {real.mean.size} and {generated.mean.size}"
        )
    # A rounding error eps of an eigenvalue that should be 0 becomes sqrt(eps) in the trace. If F F^T is the
    # covariance of lower rank, F^T S_2 F has (nearly) no such eigenvalues.
    low, high = sorted((real, generated), key=lambda gaussian: gaussian.count)
    factor = _factor(low.covariance)
    eigenvalues = np.linalg.eigvalsh(factor.T @ high.covariance @ factor)
    trace_of_root = np.sqrt(eigenvalues.clip(min=0)).sum()
    shift = real.mean - generated.mean
    total_variance = np.trace(real.covariance) + np.trace(generated.covariance)
    return max(0.0, float(shift @ shift + total_variance - 2 * trace_of_root))


def _factor(covariance: Float64Array) -> Float64Array:
    """Compute F (d, r) with F F^T = covariance, where r is its numerical rank."""
    eigenvalues, eigenvectors = np.linalg.eigh(covariance)
    rounding = len(covariance) * np.finfo(np.float64).eps * max(eigenvalues[-1], 0.0)
    kept = eigenvalues > rounding
    factor: Float64Array = eigenvectors[:, kept] * np.sqrt(eigenvalues[kept])
    return factor
