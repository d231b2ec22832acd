"""Improved precision and recall: are generated samples among the real ones, and the other way round?

Source: Kynkaanniemi et al. 2019, "Improved Precision and Recall Metric for Assessing Generative Models",
equations 1 and 2. The support of a set is the union of balls around its samples, each as large as the
distance to that sample's k-th nearest neighbour in the set. Precision is the share of generated samples in
the support of the real ones; recall is the share of real samples in the support of the generated ones.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from lzn.metrics.feature_arrays import (
    Features,
    require_features,
    require_same_width,
    row_blocks,
    squared_distances,
    to_float64,
)

# Balls are closed, so ties count as inside: samples on the rim are common where sets share samples or
# features are coarse. Squared distances that are equal up to this relative rounding are ties.
_TIE = 1e-12
# Nearest candidates that are measured again exactly, beyond those asked for.
_SPARE_CANDIDATES = 8
# Numbers held at once by an exact measurement of many pairs (64 MiB).
_MAX_ELEMENTS = 2**23


@dataclass(frozen=True)
class PrecisionRecall:
    """Shares of samples, each in [0, 1]."""

    precision: float
    recall: float


def precision_recall(
    real: Features,
    generated: Features,
    *,
    num_neighbours: int = 3,
    block_size: int = 1024,
    device: torch.device | str = "cpu",
) -> PrecisionRecall:
    """Precision and recall of generated (m, d) against real features (n, d).

    Distances come from one matrix product a block, in float64. Where its rounding could decide, the pair is
    measured again as the sum of squared differences, so the result is that of the definition taken literally.
    Memory: a few arrays of block_size x max(n, m); never n x n.

    Raises:
        ValueError: features are not finite (n, d) and (m, d) with more than `num_neighbours` rows each, or
            `num_neighbours` or `block_size` is less than 1.
    """
    if num_neighbours < 1:
        raise ValueError(f"num_neighbours must be at least 1, got {num_neighbours}")
    require_features("real", real, at_least=num_neighbours + 1)
    require_features("generated", generated, at_least=num_neighbours + 1)
    require_same_width(real, generated)
    x, y = to_float64(real, device), to_float64(generated, device)
    x_radii = _squared_radii(x, num_neighbours=num_neighbours, block_size=block_size)
    y_radii = _squared_radii(y, num_neighbours=num_neighbours, block_size=block_size)
    return PrecisionRecall(
        precision=_share_inside(y, centres=x, squared_radii=x_radii, block_size=block_size),
        recall=_share_inside(x, centres=y, squared_radii=y_radii, block_size=block_size),
    )


def _squared_radii(points: Tensor, *, num_neighbours: int, block_size: int) -> Tensor:
    """Squared distance of every point (n, d) to its k-th nearest other point, (n,)."""
    rank = num_neighbours + 1  # the point itself is the first
    num_candidates = min(rank + _SPARE_CANDIDATES, len(points))
    radii = []
    for rows in row_blocks(len(points), block_size):
        block = points[rows]
        candidates = squared_distances(block, points).topk(num_candidates, largest=False).indices
        exact = torch.stack([_exact(block, points[column]) for column in candidates.T], dim=1)
        radii.append(exact.kthvalue(rank, dim=1).values)
    return torch.cat(radii)


def _share_inside(queries: Tensor, *, centres: Tensor, squared_radii: Tensor, block_size: int) -> float:
    """Share of queries (m, d) inside at least one closed ball around `centres` (n, d)."""
    num_inside = 0
    rims = squared_radii * (1 + _TIE)
    largest_centre = centres.square().sum(1).max()
    for rows in row_blocks(len(queries), block_size):
        block = queries[rows]
        excess = squared_distances(block, centres).sub_(rims)  # (block, n)
        rounding = _rounding_bound(block.square().sum(1, keepdim=True) + largest_centre, width=block.shape[1])
        inside = (excess < -rounding).any(dim=1)
        undecided = (excess.abs_() <= rounding) & ~inside[:, None]
        inside[_pairs_inside(undecided, block, centres, rims)] = True
        num_inside += int(inside.sum())
    return num_inside / len(queries)


def _rounding_bound(size: Tensor, *, width: int) -> Tensor:
    """Bound on the error of `squared_distances` for |x|^2 + |y|^2 = size: three sums of `width` terms."""
    return 4 * (width + 4) * torch.finfo(torch.float64).eps * size


def _pairs_inside(undecided: Tensor, queries: Tensor, centres: Tensor, rims: Tensor) -> Tensor:
    """Rows of `undecided` (b, n) with a pair whose exactly measured distance lies within the ball."""
    hits = [undecided.new_empty(0, dtype=torch.int64)]
    for pairs in torch.split(undecided.nonzero(), max(1, _MAX_ELEMENTS // queries.shape[1])):
        row, column = pairs.unbind(1)
        hits.append(row[_exact(queries[row], centres[column]) <= rims[column]])
    return torch.cat(hits)


def _exact(x: Tensor, y: Tensor) -> Tensor:
    """|x_i - y_i|^2 row by row without cancellation, (m, d) and (m, d) => (m,)."""
    return (x - y).square().sum(dim=1)
