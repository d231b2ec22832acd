"""Definitions of the metrics, computed pair by pair."""

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.number]


def pairwise_squared_distances(x: Matrix, y: Matrix) -> Matrix:
    """Compute |x_i - y_j|^2, (n, d) and (m, d) => (n, m), in the dtype of the inputs: exact for integers."""
    return ((x[:, None, :] - y[None, :, :]) ** 2).sum(axis=2)


def squared_radii(points: Matrix, num_neighbours: int) -> Matrix:
    """Compute the squared distance of each point to its k-th nearest other point, (n,)."""
    distances = pairwise_squared_distances(points, points)
    others = [np.sort(np.delete(row, i)) for i, row in enumerate(distances)]
    return np.array([row[num_neighbours - 1] for row in others])


def share_inside(queries: Matrix, centres: Matrix, num_neighbours: int) -> float:
    """Compute the share of queries inside at least one closed ball of a centre up to its k-th neighbour."""
    radii = squared_radii(centres, num_neighbours)
    return float((pairwise_squared_distances(queries, centres) <= radii).any(axis=1).mean())


def mmd_squared(x: Matrix, y: Matrix, sigma: float) -> float:
    """Compute the mean kernel within x, plus that within y, minus twice that between x and y, over all pairs."""

    def mean_kernel(a: Matrix, b: Matrix) -> float:
        return float(np.exp(-pairwise_squared_distances(a, b) / (2 * sigma**2)).mean())

    return mean_kernel(x, x) + mean_kernel(y, y) - 2 * mean_kernel(x, y)
