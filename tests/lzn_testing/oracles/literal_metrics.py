"""The metrics' definitions written out pair by pair, slow and obvious."""

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.number]


def pairwise_squared_distances(x: Matrix, y: Matrix) -> Matrix:
    """|x_i - y_j|^2, (n, d) and (m, d) => (n, m), in the arithmetic of the inputs: exact for integers."""
    return ((x[:, None, :] - y[None, :, :]) ** 2).sum(axis=2)


def squared_radii(points: Matrix, num_neighbours: int) -> Matrix:
    """Squared distance of each point to its k-th nearest other point, (n,)."""
    distances = pairwise_squared_distances(points, points)
    others = [np.sort(np.delete(row, i)) for i, row in enumerate(distances)]
    return np.array([row[num_neighbours - 1] for row in others])


def share_inside(queries: Matrix, centres: Matrix, num_neighbours: int) -> float:
    """Share of the queries inside at least one closed k-th neighbour ball of the centres."""
    radii = squared_radii(centres, num_neighbours)
    return float((pairwise_squared_distances(queries, centres) <= radii).any(axis=1).mean())


def mmd_squared(x: Matrix, y: Matrix, sigma: float) -> float:
    """Mean kernel within x plus within y minus twice between, over all pairs."""

    def mean_kernel(a: Matrix, b: Matrix) -> float:
        return float(np.exp(-pairwise_squared_distances(a, b) / (2 * sigma**2)).mean())

    return mean_kernel(x, x) + mean_kernel(y, y) - 2 * mean_kernel(x, y)
