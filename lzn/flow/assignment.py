"""The assignment probability of a state, and the posterior mean of its anchor (section 2.2.1).

The state ``s`` at time ``t = 1 - tau`` belongs to the anchor ``a_j``, of weight ``w_j``, with probability

    p_j(s, t) = softmax_j( log w_j - |s - t a_j|^2 / (2 tau^2) )
              = softmax_j( (t / tau^2) <s, a_j> - (t^2 / (2 tau^2)) |a_j|^2 + log w_j )

The posterior mean ``D(s, t) = sum_j p_j a_j`` is therefore a cross-attention: queries ``s``, keys and values ``a``,
scale ``t / tau^2`` and a bias per key. It is evaluated in blocks of rows, and the backward pass computes the same
blocks again from ``(s, a)``: two matrix products forwards, five backwards, no tensor of (n, n, q). Fused attention
kernels are not used: their backward pass rebuilds the probabilities from a rounded log-sum-exp, which makes gradients
wrong at logits of 1e4 and more. Here each row's maximum is subtracted instead.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from lzn.flow.precision import flush_subnormals_
from lzn.flow.row_blocks import row_blocks


class Assignment(NamedTuple):
    """Posterior mean of the anchor (m, q), and log-probability of each state's target anchor (m,) or None.

    ``likeliest`` is the index of the anchor with the largest probability, int64 (m,), or None if it was not asked for.
    """

    mean: Tensor
    target_log_probability: Tensor | None
    likeliest: Tensor | None


class AssignmentGradient(NamedTuple):
    """Gradients with respect to states (m, q) and anchors (n, q)."""

    state: Tensor
    anchors: Tensor


@dataclass(frozen=True)
class AnchorSet:
    """The anchors of a flow, shifted by their mean, in float64.

    The shift ``s -> s - t centre``, ``a -> a - centre`` does not change the flow. Without it, logits are differences of
    large numbers when all anchors are far from the origin. The same float64 tensor is used as keys and as starting
    points, so that an anchor's two gradients, which are large and nearly cancel, are added in float64.
    """

    points: Tensor
    centre: Tensor
    log_weights: Tensor | None
    working_dtype: torch.dtype

    @staticmethod
    def build(anchors: Tensor, weights: Tensor | None, working_dtype: torch.dtype) -> "AnchorSet":
        """Build it from anchors (n, q) and weights (n,) that were checked."""
        anchors = anchors.double()
        centre = anchors.detach().mean(dim=0)
        log_weights = None if weights is None else _log_normalised(weights)
        return AnchorSet(anchors - centre, centre, log_weights, working_dtype)

    def to_centred(self, points: Tensor, tau: float) -> Tensor:
        """Shift points (m, q) at noise level ``tau``; float64."""
        return points.double() - (1.0 - tau) * self.centre

    def from_centred(self, state: Tensor, tau: float) -> Tensor:
        """Undo `to_centred`."""
        return state.double() + (1.0 - tau) * self.centre

    def keys(self, dtype: torch.dtype) -> "Keys":
        """Return the anchors as keys, in the dtype of one step."""
        return Keys.build(self.points, self.log_weights, dtype)


@dataclass(frozen=True)
class Keys:
    """Anchors as keys and values of the attention: shifted points (n, q), squared norms and log-weights (n,)."""

    points: Tensor
    squares: Tensor
    log_weights: Tensor | None

    @staticmethod
    def build(points: Tensor, log_weights: Tensor | None, dtype: torch.dtype) -> "Keys":
        """Build them from shifted anchors (n, q) and log-weights (n,), in the dtype of one step."""
        points = points.to(dtype)
        return Keys(
            points, points.square().sum(dim=1), None if log_weights is None else log_weights.to(dtype)
        )

    def scale_and_bias(self, tau: float) -> tuple[float, Tensor]:
        """Return the scale of the inner products and the bias (n,) of each key in the logits."""
        scale, half = logit_factors(tau)
        bias = -half * self.squares
        return scale, bias if self.log_weights is None else bias + self.log_weights

    def _blocks(self, state: Tensor) -> Iterator[slice]:
        """Yield the rows of the states (m, q) whose logits (rows, n) are in memory at once."""
        return row_blocks(len(state), num_columns=len(self.points), dtype=state.dtype, device=state.device)

    def assign(
        self, state: Tensor, tau: float, targets: Tensor | None = None, *, with_likeliest: bool = False
    ) -> Assignment:
        """Compute the assignment of shifted states (m, q) at noise level ``tau``; ``targets`` are int64 (m,)."""
        scale, bias = self.scale_and_bias(tau)
        mean = torch.empty_like(state)
        log_probability = None if targets is None else state.new_empty(len(state))
        likeliest = (
            torch.empty(len(state), dtype=torch.int64, device=state.device) if with_likeliest else None
        )
        for rows in self._blocks(state):
            logits = torch.addmm(bias, state[rows], self.points.T, alpha=scale)
            if likeliest is not None:
                likeliest[rows] = logits.argmax(dim=1)
            if targets is None or log_probability is None:
                probability = logits.softmax(dim=1)
            else:
                logits = logits.log_softmax(dim=1)
                log_probability[rows] = logits.gather(1, targets[rows, None])[:, 0]
                probability = logits.exp_()
            torch.mm(flush_subnormals_(probability), self.points, out=mean[rows])
        return Assignment(mean, log_probability, likeliest)

    def assign_backward(
        self,
        state: Tensor,
        tau: float,
        grad_mean: Tensor,
        targets: Tensor | None = None,
        grad_log_probability: Tensor | None = None,
    ) -> AssignmentGradient:
        """Compute gradients of `assign` from those of its mean (m, q) and its log-probabilities (m,)."""
        scale, bias = self.scale_and_bias(tau)
        grad_state = torch.empty_like(state)
        grad_points = torch.zeros_like(self.points)
        grad_bias = torch.zeros_like(bias)
        for rows in self._blocks(state):
            probability = torch.addmm(bias, state[rows], self.points.T, alpha=scale).softmax(dim=1)
            flush_subnormals_(probability)
            grad_points.addmm_(probability.T, grad_mean[rows])
            grad_logits = grad_mean[rows] @ self.points.T
            grad_logits -= (probability * grad_logits).sum(dim=1, keepdim=True)
            if targets is not None and grad_log_probability is not None:
                grad_logits -= grad_log_probability[rows, None]
            grad_logits *= probability
            if targets is not None and grad_log_probability is not None:
                grad_logits.scatter_add_(1, targets[rows, None], grad_log_probability[rows, None])
            torch.mm(grad_logits, self.points, out=grad_state[rows]).mul_(scale)
            grad_points.addmm_(grad_logits.T, state[rows], alpha=scale)
            grad_bias += grad_logits.sum(dim=0)
        grad_points -= (2.0 * logit_factors(tau)[1]) * grad_bias[:, None] * self.points
        return AssignmentGradient(grad_state, grad_points)


def logit_factors(tau: float) -> tuple[float, float]:
    """Return the factors ``t / tau^2`` of ``<s, a_j>`` and ``t^2 / (2 tau^2)`` of ``-|a_j|^2`` in the logits."""
    t = 1.0 - tau
    return t / tau**2, 0.5 * (t / tau) ** 2


def _log_normalised(weights: Tensor) -> Tensor:
    shares = weights.detach().double()
    return (shares / shares.sum()).log()
