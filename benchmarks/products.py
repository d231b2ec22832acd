"""Count and time the matrix products that latent computation needs.

A product multiplies matrices (n, q) and (q, n), or (n, n) and (n, q): ``2 n^2 q`` operations.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.measuring import Cost, cost_of

ROWS_PER_BLOCK = 256
EARLY_NOISE_LEVEL = 0.3
SURE_GAP = 64.0
"""An assignment is one-hot if each other anchor is less probable by a factor of at least exp(64)."""


@dataclass(frozen=True)
class Products:
    """Numbers of products and steps, forward plus backward, by the required precision.

    Attributes:
        start: products in float32 that find the steps with one-hot assignments.
        early: evaluated steps in float64, each with 2 products forward and 5 backward.
        late: evaluated steps in float32, with the same products.
    """

    start: int
    early: int
    late: int

    @property
    def total(self) -> int:
        """Number of all products."""
        return self.start + 7 * (self.early + self.late)


def products_of_latents(levels: list[float], num_straight_steps: int) -> Products:
    """Count the products of latents (n, q) among n anchors, forward plus backward.

    - The straight start finds the number of first steps in which each state moves straight away from its anchor, with
      two products (distances between anchors, tilt). These steps need no others.
    - Each other step is evaluated at its first level: ``s a^T`` and ``p a`` forward; ``s a^T``, ``p^T g``, ``g a^T``,
      ``l a`` and ``l^T s`` backward, where ``g`` is the gradient of ``D`` and ``l`` the gradient of the logits. The
      precision is float64 for ``tau < 0.3``, and float32 otherwise.

    Args:
        levels: noise levels of the solver's grid, including the last one.
        num_straight_steps: result of `count_straight_steps`.
    """
    evaluated = levels[num_straight_steps:-1]
    early = sum(tau < EARLY_NOISE_LEVEL for tau in evaluated)
    return Products(start=2, early=early, late=len(evaluated) - early)


def count_straight_steps(anchors: Tensor, noise: Tensor, levels: list[float]) -> int:
    """Count the first steps in which each state is assigned to its own anchor only, and therefore moves straight.

    On its straight line a state is ``s = t a + tau eps``, and another anchor ``b`` is less probable by ``exp(gap)``
    with ``gap = t^2 |a - b|^2 / (2 tau^2) + t <a - b, eps> / tau``.
    """
    anchors, noise = anchors.detach().double(), noise.double()
    num_steps = len(levels) - 1
    for start in range(0, len(anchors), ROWS_PER_BLOCK):
        own, eps = anchors[start : start + ROWS_PER_BLOCK], noise[start : start + ROWS_PER_BLOCK]
        distances = torch.cdist(own, anchors).square()
        tilt = (own * eps).sum(dim=1, keepdim=True) - eps @ anchors.T
        rows = torch.arange(len(own))
        for step, tau in enumerate(levels[:num_steps]):
            ratio = (1.0 - tau) / tau
            gaps = (0.5 * ratio**2) * distances + ratio * tilt
            gaps[rows, start + rows] = torch.inf
            if not bool((gaps > SURE_GAP).all()):
                num_steps = step
                break
    return num_steps


def time_products(num_anchors: int, latent_dim: int, products: Products) -> Cost:
    """Measure the products alone, in the same blocks of rows, with results in preallocated tensors."""
    operands = [_Operands.random(num_anchors, latent_dim, dtype) for dtype in (torch.float64, torch.float32)]

    def compute() -> None:
        early, late = operands
        late.start(products.start)
        for _ in range(products.early):
            early.step()
        for _ in range(products.late):
            late.step()

    def warm_up() -> None:
        for each in operands:
            each.step()

    return cost_of(compute, warm_up=warm_up)


@dataclass(frozen=True)
class _Operands:
    """Matrices of one precision: states, anchors and gradients (n, q), and a block of the assignment (block, n)."""

    state: Tensor
    anchors: Tensor
    grad: Tensor
    result: Tensor
    block: Tensor
    block_result: Tensor

    @staticmethod
    def random(num_anchors: int, latent_dim: int, dtype: torch.dtype) -> "_Operands":
        generator = torch.Generator().manual_seed(0)
        rows = min(ROWS_PER_BLOCK, num_anchors)
        shapes = [(num_anchors, latent_dim)] * 4 + [(rows, num_anchors)] * 2
        return _Operands(*(torch.randn(shape, generator=generator, dtype=dtype) for shape in shapes))

    def start(self, num_products: int) -> None:
        for first in range(0, len(self.state), ROWS_PER_BLOCK):
            rows = slice(first, first + ROWS_PER_BLOCK)
            for _ in range(num_products):
                self._logits(self.state[rows])

    def step(self) -> None:
        for first in range(0, len(self.state), ROWS_PER_BLOCK):
            rows = slice(first, first + ROWS_PER_BLOCK)
            state, grad, result = self.state[rows], self.grad[rows], self.result[rows]
            block = self.block[: len(state)]
            for _ in range(2):  # forward, and again backward
                self._logits(state)
            self._logits(grad)
            for _ in range(2):  # p a and l a
                torch.mm(block, self.anchors, out=result)
            for rows_of_block in (grad, state):  # p^T g and l^T s
                torch.mm(block.T, rows_of_block, out=self.result)

    def _logits(self, rows: Tensor) -> None:
        torch.mm(rows, self.anchors.T, out=self.block_result[: len(rows)])
