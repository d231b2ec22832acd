"""Improved precision and recall of generated samples.

Source: Kynkaanniemi et al. 2019, "Improved Precision and Recall Metric for Assessing Generative Models",
equations 1 and 2. The support of a set is the union of balls around its samples. The radius of a ball is the
distance to the sample's k-th nearest neighbour in the set. Precision is the share of generated samples in
the support of the real ones; recall is the share of real samples in the support of the generated ones.
"""

from collections.abc import Iterator
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

# Balls are closed, so samples at the radius are inside. They are common if sets share samples or features are
# coarse. Squared distances that are equal up to this relative tolerance count as equal.
_TIE_TOLERANCE = 1e-12
# Number of additional nearest candidates whose distance is computed exactly.
_SPARE_CANDIDATES = 8
# Largest number of elements of an exact computation of many pairs (64 MiB).
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
    """Compute precision and recall of generated features (m, d) against real features (n, d).

    Distances are matrix products of blocks in float64. If rounding could change the result of a comparison, the
    distance is computed again as a sum of squared differences, so the result follows the definition exactly.
    Only two blocks of `block_size` rows at a time are float64; there is no matrix n x n.

    Raises:
        ValueError: features are not finite (n, d) and (m, d) with more than `num_neighbours` rows, or
            `num_neighbours` or `block_size` is less than 1.
    """
    if num_neighbours < 1:
        raise ValueError(f"num_neighbours must be at least 1, got {num_neighbours}")
    require_features("real", real, at_least=num_neighbours + 1)
    require_features("generated", generated, at_least=num_neighbours + 1)
    require_same_width(real, generated)
    x, y = (_Blocks(features, block_size, device) for features in (real, generated))
    return PrecisionRecall(
        precision=_share_inside(y, centres=x, squared_radii=_squared_radii(x, num_neighbours=num_neighbours)),
        recall=_share_inside(x, centres=y, squared_radii=_squared_radii(y, num_neighbours=num_neighbours)),
    )


@dataclass(frozen=True, eq=False)
class _Blocks:
    """Features (n, d) that are read in blocks of rows, as float64 on a device."""

    features: Features
    block_size: int
    device: torch.device | str

    def __len__(self) -> int:
        return len(self.features)

    def __iter__(self) -> Iterator[tuple[slice, Tensor]]:
        for rows in row_blocks(len(self), self.block_size):
            yield rows, to_float64(self.features[rows], self.device)

    def gather(self, indices: Tensor) -> Tensor:
        """Return the rows at `indices` (m,), in this order."""
        return to_float64(self.features[indices.cpu().numpy()], self.device)


def _squared_radii(points: _Blocks, *, num_neighbours: int) -> Tensor:
    """Compute the squared distance of each point (n, d) to its k-th nearest other point, (n,)."""
    rank = num_neighbours + 1  # the nearest point is the point itself
    num_candidates = min(rank + _SPARE_CANDIDATES, len(points))
    radii = []
    for _, block in points:
        candidates = _nearest(block, points, number=num_candidates)
        exact = torch.stack(
            [_exact_squared_distances(block, points.gather(column)) for column in candidates.T], dim=1
        )
        radii.append(exact.kthvalue(rank, dim=1).values)
    return torch.cat(radii)


def _nearest(block: Tensor, points: _Blocks, *, number: int) -> Tensor:
    """Return the indices (b, number) of the points nearest to each row of the block (b, d), up to rounding."""
    distances = block.new_empty(len(block), 0)
    indices = torch.empty_like(distances, dtype=torch.int64)
    for columns, others in points:
        new_indices = torch.arange(columns.start, columns.stop, device=block.device).expand(len(block), -1)
        distances = torch.cat([distances, squared_distances(block, others)], dim=1)
        indices = torch.cat([indices, new_indices], dim=1)
        distances, kept = distances.topk(min(number, distances.shape[1]), largest=False)
        indices = indices.gather(1, kept)
    return indices


def _share_inside(queries: _Blocks, *, centres: _Blocks, squared_radii: Tensor) -> float:
    """Compute the share of queries (m, d) inside at least one closed ball around `centres` (n, d)."""
    num_inside = 0
    squared_radii = squared_radii * (1 + _TIE_TOLERANCE)
    for _, block in queries:
        inside = torch.zeros(len(block), dtype=torch.bool, device=block.device)
        for columns, some_centres in centres:
            inside |= _inside(block, some_centres, squared_radii[columns])
        num_inside += int(inside.sum())
    return num_inside / len(queries)


def _inside(queries: Tensor, centres: Tensor, squared_radii: Tensor) -> Tensor:
    """Return whether each query (m, d) is inside at least one ball around `centres` (n, d), (m,)."""
    excess = squared_distances(queries, centres).sub_(squared_radii)  # (m, n)
    size = queries.square().sum(1, keepdim=True) + centres.square().sum(1).max()
    rounding = _rounding_bound(size, width=queries.shape[1])
    inside = (excess < -rounding).any(dim=1)
    undecided = (excess.abs_() <= rounding) & ~inside[:, None]
    inside[_pairs_inside(undecided, queries, centres, squared_radii)] = True
    return inside


def _rounding_bound(size: Tensor, *, width: int) -> Tensor:
    """Return a bound on the error of `squared_distances` for |x|^2 + |y|^2 = size (three sums of `width` terms)."""
    return 4 * (width + 4) * torch.finfo(torch.float64).eps * size


def _pairs_inside(undecided: Tensor, queries: Tensor, centres: Tensor, squared_radii: Tensor) -> Tensor:
    """Return the rows of `undecided` (b, n) with a pair whose exact distance is within the ball."""
    hits = [undecided.new_empty(0, dtype=torch.int64)]
    for pairs in torch.split(undecided.nonzero(), max(1, _MAX_ELEMENTS // queries.shape[1])):
        row, column = pairs.unbind(1)
        hits.append(row[_exact_squared_distances(queries[row], centres[column]) <= squared_radii[column]])
    return torch.cat(hits)


def _exact_squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """Compute |x_i - y_i|^2 for each row without cancellation, (m, d) and (m, d) => (m,)."""
    return (x - y).square().sum(dim=1)
