"""Squared maximum mean discrepancy with a Gaussian kernel: CMMD.

Source: Jayasumana et al. 2024, "Rethinking FID: Towards a Better Evaluation Metric for Image Generation",
section 4:

    MMD^2 = mean_ij k(x_i, x_j) + mean_ij k(y_i, y_j) - 2 mean_ij k(x_i, y_j)
    k(x, y) = exp(-|x - y|^2 / (2 sigma^2))

CMMD is 1000 MMD^2 of L2-normalised CLIP ViT-L/14@336 embeddings with sigma = 10. This sigma is for CLIP. For other
features use `median_bandwidth` of the real set, with the same value for everything that is compared.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lzn.metrics.feature_arrays import (
    Features,
    require_features,
    require_same_width,
    row_blocks,
    squared_distances,
    to_float64,
)

CMMD_SIGMA = 10.0
"""Bandwidth of the kernel for CLIP embeddings."""
CMMD_SCALE = 1000.0


def mmd_squared(
    real: Features,
    generated: Features,
    *,
    sigma: float,
    block_size: int = 1024,
    device: torch.device | str = "cpu",
) -> float:
    """Compute MMD^2 of real (n, d) and generated (m, d) features, with the pairs i = j (V-statistic, at least 0).

    The code averages expm1 instead of exp: with CMMD's wide kernel every value is close to 1, and the ones cancel.
    Only two blocks of `block_size` rows at a time are float64.

    Raises:
        ValueError: the features are not finite (n, d) and (m, d), or sigma or block_size is not positive.
    """
    require_features("real", real)
    require_features("generated", generated)
    require_same_width(real, generated)
    if not sigma > 0:
        raise ValueError(f"sigma must be positive, got {sigma}")
    # A shift does not change distances, and centred features lose fewer digits in the matrix product.
    kernel = _Kernel(centre=_mean(real, block_size), sigma=sigma, block_size=block_size, device=device)
    within_real, within_generated = (
        kernel.mean_minus_one(real, real),
        kernel.mean_minus_one(generated, generated),
    )
    return max(0.0, within_real + within_generated - 2 * kernel.mean_minus_one(real, generated))


def cmmd(real: Features, generated: Features, *, device: torch.device | str = "cpu") -> float:
    """Compute CMMD of CLIP embeddings (n, d) and (m, d) of norm 1 (Jayasumana et al., section 4).

    The number is called CMMD only with the embeddings of CLIP ViT-L/14@336.

    Raises:
        ValueError: see `mmd_squared`.
    """
    return CMMD_SCALE * mmd_squared(real, generated, sigma=CMMD_SIGMA, device=device)


def median_bandwidth(features: Features, *, max_samples: int = 2000) -> float:
    """Compute the median distance between two rows of features (n, d), the usual sigma for features other than CLIP's.

    Of more than `max_samples` rows, `max_samples` rows at equal distances are used, which is deterministic and right
    for rows sorted by class. Gretton et al. 2012, "A Kernel Two-Sample Test", section 8, use the median over both
    samples; here only the real set is used, so that sigma is the same for everything that is compared.

    Raises:
        ValueError: there are fewer than two rows, or at least half of all pairs are equal.
    """
    require_features("features", features, at_least=2)
    if max_samples < 2:
        raise ValueError(f"max_samples must be at least 2, got {max_samples}")
    rows = np.linspace(0, len(features) - 1, num=min(len(features), max_samples)).astype(np.int64)
    distances = torch.pdist(to_float64(features[rows], "cpu"))
    median = float(np.median(distances.numpy()))
    if median == 0:
        raise ValueError(
            "at least half of all pairs of features are equal, so their median distance is 0; set sigma"
        )
    return median


def _mean(features: Features, block_size: int) -> NDArray[np.float64]:
    total = np.zeros(features.shape[1])
    for rows in row_blocks(len(features), block_size):
        total += features[rows].sum(axis=0, dtype=np.float64)
    return total / len(features)


@dataclass(frozen=True, eq=False)
class _Kernel:
    centre: NDArray[np.float64]
    sigma: float
    block_size: int
    device: torch.device | str

    def mean_minus_one(self, x: Features, y: Features) -> float:
        """Compute the mean of k(x_i, y_j) - 1 over all pairs."""
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        for rows in row_blocks(len(x), self.block_size):
            x_block = self._centred(x[rows])
            for columns in row_blocks(len(y), self.block_size):
                distances = squared_distances(x_block, self._centred(y[columns]))
                total += distances.mul_(-0.5 / self.sigma**2).expm1_().sum()
        return float(total) / (len(x) * len(y))

    def _centred(self, rows: Features) -> Tensor:
        return to_float64(rows, self.device) - torch.from_numpy(self.centre).to(self.device)
