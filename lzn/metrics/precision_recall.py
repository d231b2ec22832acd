"""Improved precision and recall: are generated samples among the real ones, and the other way round?

Source: Kynkaanniemi et al. 2019, "Improved Precision and Recall Metric for Assessing Generative Models",
equations 1 and 2. The support of a set is the union of balls around its samples, each as large as the
distance to that sample's k-th nearest neighbour in the set. Precision is the share of generated samples in
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
    Only two blocks of `block_size` rows at a time are float64; never n x n.

    Raises:
        ValueError: features are not finite (n, d) and (m, d) with more than `num_neighbours` rows each, or
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
    """Features (n, d) of which some rows at a time are float64 on a device."""

    features: Features
    block_size: int
    device: torch.device | str

    def __len__(self) -> int:
        return len(self.features)

    def __iter__(self) -> Iterator[tuple[slice, Tensor]]:
        for rows in row_blocks(len(self), self.block_size):
            yield rows, to_float64(self.features[rows], self.device)

    def gather(self, indices: Tensor) -> Tensor:
        """The rows `indices` (m,), in that order."""
        return to_float64(self.features[indices.cpu().numpy()], self.device)


def _squared_radii(points: _Blocks, *, num_neighbours: int) -> Tensor:
    """Squared distance of every point (n, d) to its k-th nearest other point, (n,)."""
    rank = num_neighbours + 1  # the point itself is the first
    num_candidates = min(rank + _SPARE_CANDIDATES, len(points))
    radii = []
    for _, block in points:
        candidates = _nearest(block, points, number=num_candidates)
        exact = torch.stack([_exact(block, points.gather(column)) for column in candidates.T], dim=1)
        radii.append(exact.kthvalue(rank, dim=1).values)
    return torch.cat(radii)


def _nearest(block: Tensor, points: _Blocks, *, number: int) -> Tensor:
    """Indices (b, number) of the points that are nearest to each row of the block (b, d), up to rounding."""
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
    """Share of queries (m, d) inside at least one closed ball around `centres` (n, d)."""
    num_inside = 0
    rims = squared_radii * (1 + _TIE)
    for _, block in queries:
        inside = torch.zeros(len(block), dtype=torch.bool, device=block.device)
        for columns, some_centres in centres:
            inside |= _inside(block, some_centres, rims[columns])
        num_inside += int(inside.sum())
    return num_inside / len(queries)


def _inside(queries: Tensor, centres: Tensor, rims: Tensor) -> Tensor:
    """Whether each query (m, d) is inside at least one of the balls around `centres` (n, d), (m,)."""
    excess = squared_distances(queries, centres).sub_(rims)  # (m, n)
    size = queries.square().sum(1, keepdim=True) + centres.square().sum(1).max()
    rounding = _rounding_bound(size, width=queries.shape[1])
    inside = (excess < -rounding).any(dim=1)
    undecided = (excess.abs_() <= rounding) & ~inside[:, None]
    inside[_pairs_inside(undecided, queries, centres, rims)] = True
    return inside


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
