"""Which anchor does a state on the flow belong to? The assignment probability and the posterior mean (section 2.2.1).

With ``w_j`` the weight of anchor ``a_j``, the state ``s`` at time ``t = 1 - tau`` belongs to it with probability

    p_j(s, t) = softmax_j( log w_j - |s - t a_j|^2 / (2 tau^2) )
              = softmax_j( (t / tau^2) <s, a_j> - (t^2 / (2 tau^2)) |a_j|^2 + log w_j )

so the posterior mean ``D(s, t) = sum_j p_j a_j`` is a cross-attention: queries ``s``, keys and values ``a``, scale
``t / tau^2`` and a bias per key. It is evaluated in blocks of rows; only ``(s, a)`` are kept for the backward pass,
which computes the same blocks again: five matrix products for the forward pass's two, and never a tensor of
(n, n, q). A fused attention kernel would rebuild the probabilities from a rounded log-sum-exp, which ruins
gradients at logits of 1e4 and more; subtracting each row's maximum does not.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

ROWS_PER_BLOCK = 256
"""States evaluated at once: memory is this number times n."""

EARLY_NOISE_LEVEL = 0.3
"""Below this ``tau`` states are kept in float64: a step multiplies ``s - D``, of size g, by up to 1/g."""


class NonFiniteAnchorsError(ValueError):
    """Anchors hold NaN or infinity: the encoder diverged."""


class Assignment(NamedTuple):
    """Posterior mean of the anchor (m, q) and log-probability of each state's target anchor (m,), if asked for."""

    mean: Tensor
    target_log_probability: Tensor | None


class AssignmentGradient(NamedTuple):
    """Gradients with respect to states (m, q) and anchors (n, q)."""

    state: Tensor
    anchors: Tensor


@dataclass(frozen=True)
class AnchorSet:
    """The anchors of a flow, shifted by their mean, in float64.

    The shift ``s -> s - t centre``, ``a -> a - centre`` leaves the flow as it is, and keeps logits from becoming
    differences of huge numbers when all anchors are far from the origin. The one float64 tensor serves as keys and
    as starting points, so that an anchor's two gradients, large and of opposite sign, meet in float64.
    """

    points: Tensor
    centre: Tensor
    log_weights: Tensor | None
    working_dtype: torch.dtype

    @staticmethod
    def build(anchors: Tensor, weights: Tensor | None, working_dtype: torch.dtype) -> "AnchorSet":
        """Of anchors (n, q) and weights (n,), both already checked."""
        anchors = anchors.double()
        centre = anchors.detach().mean(dim=0)
        log_weights = None if weights is None else _log_shares(weights)
        return AnchorSet(anchors - centre, centre, log_weights, working_dtype)

    def to_centred(self, points: Tensor, tau: float) -> Tensor:
        """Points (m, q) at noise level ``tau`` in shifted coordinates, float64."""
        return points.double() - (1.0 - tau) * self.centre

    def from_centred(self, state: Tensor, tau: float) -> Tensor:
        """The inverse of `to_centred`."""
        return state.double() + (1.0 - tau) * self.centre

    def keys(self, dtype: torch.dtype) -> "Keys":
        """The anchors in the dtype of one step."""
        points = self.points.to(dtype)
        log_weights = None if self.log_weights is None else self.log_weights.to(dtype)
        return Keys(points, points.square().sum(dim=1), log_weights)


@dataclass(frozen=True)
class Keys:
    """Anchors as the keys and values of an attention: shifted points (n, q), their squares and log-weights (n,)."""

    points: Tensor
    squares: Tensor
    log_weights: Tensor | None

    def scale_and_bias(self, tau: float) -> tuple[float, Tensor]:
        """Scale of the inner products and bias (n,) of each key in the logits."""
        scale, half = logit_factors(tau)
        bias = -half * self.squares
        return scale, bias if self.log_weights is None else bias + self.log_weights

    def assign(self, state: Tensor, tau: float, targets: Tensor | None = None) -> Assignment:
        """Posterior mean and target log-probability of shifted states (m, q) at noise level ``tau``."""
        scale, bias = self.scale_and_bias(tau)
        mean = torch.empty_like(state)
        log_probability = None if targets is None else state.new_empty(len(state))
        for rows in row_blocks(len(state)):
            logits = torch.addmm(bias, state[rows], self.points.T, alpha=scale)
            if targets is None or log_probability is None:
                probability = logits.softmax(dim=1)
            else:
                logits = logits.log_softmax(dim=1)
                log_probability[rows] = logits.gather(1, targets[rows, None])[:, 0]
                probability = logits.exp_()
            torch.mm(without_subnormals_(probability), self.points, out=mean[rows])
        return Assignment(mean, log_probability)

    def assign_backward(
        self,
        state: Tensor,
        tau: float,
        grad_mean: Tensor,
        targets: Tensor | None = None,
        grad_log_probability: Tensor | None = None,
    ) -> AssignmentGradient:
        """Gradients of what `assign` returns, from those of the mean (m, q) and of the log-probabilities (m,)."""
        scale, bias = self.scale_and_bias(tau)
        grad_state = torch.empty_like(state)
        grad_points = torch.zeros_like(self.points)
        grad_bias = torch.zeros_like(bias)
        for rows in row_blocks(len(state)):
            probability = torch.addmm(bias, state[rows], self.points.T, alpha=scale).softmax(dim=1)
            without_subnormals_(probability)
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


def without_subnormals_(probability: Tensor) -> Tensor:
    """Zero, in place, what is so small that it or a product with it may be subnormal.

    Processors take ten times as long for a matrix product with such numbers in it, and no sum notices them: in
    float32, which is for gradients that divide by ``tau^2 >= 0.09``, they are below 1e-28.
    """
    return torch.threshold_(probability, torch.finfo(probability.dtype).tiny ** 0.75, 0.0)


def logit_factors(tau: float) -> tuple[float, float]:
    """The factors ``t / tau^2`` of ``<s, a_j>`` and ``t^2 / (2 tau^2)`` of ``-|a_j|^2`` in the logits."""
    t = 1.0 - tau
    return t / tau**2, 0.5 * (t / tau) ** 2


def _log_shares(weights: Tensor) -> Tensor:
    shares = weights.detach().double()
    return (shares / shares.sum()).log()


def row_blocks(num_rows: int) -> Iterator[slice]:
    """Slices of `ROWS_PER_BLOCK` rows that cover ``num_rows``."""
    for start in range(0, num_rows, ROWS_PER_BLOCK):
        yield slice(start, start + ROWS_PER_BLOCK)


def in_full_precision(device: torch.device) -> AbstractContextManager[object]:
    """The flow opts out of autocast, whose half precision its logits do not bear."""
    if torch.amp.is_autocast_available(device.type):
        return torch.autocast(device.type, enabled=False)
    return nullcontext()


def is_cpu(tensor: Tensor) -> bool:
    """Can values be looked at for nothing? An accelerator would first have to finish all that waits in its queue.

    So there bad values are not refused: what is computed from them is NaN.
    """
    return tensor.device.type == "cpu"


def check_points(name: str, points: Tensor, *, dim: int | None = None) -> None:
    """Raise ValueError unless ``points`` is a floating (rows, q) tensor with ``dim`` columns and at least one row."""
    if points.ndim != 2 or not points.is_floating_point() or len(points) == 0:
        raise ValueError(
            f"{name} must be a floating-point tensor (rows, q) with rows, got {_describe(points)}"
        )
    if dim is not None and points.shape[1] != dim:
        raise ValueError(f"{name} must have {dim} columns like the anchors, got {_describe(points)}")


def check_anchors(name: str, anchors: Tensor) -> None:
    """Raise ValueError unless ``anchors`` is (n, q), and `NonFiniteAnchorsError` unless it is finite (`is_cpu`)."""
    check_points(name, anchors)
    if is_cpu(anchors) and not bool(torch.isfinite(anchors.detach()).all()):
        raise NonFiniteAnchorsError(
            f"{name} hold NaN or infinity; lower the encoder's learning rate or clip gradients"
        )


def check_weights(weights: Tensor | None, num_anchors: int) -> None:
    """Raise ValueError unless ``weights`` is (n,), finite, non-negative and of positive sum (`is_cpu`)."""
    if weights is None:
        return
    if weights.shape != (num_anchors,):
        raise ValueError(
            f"weights must have shape ({num_anchors},), one for each anchor, got {_describe(weights)}"
        )
    if not is_cpu(weights):
        return
    if not bool(torch.isfinite(weights).all()):
        raise ValueError("weights hold NaN or infinity")
    if bool((weights < 0).any()):
        raise ValueError(f"weights must not be negative, the smallest is {float(weights.min())}")
    if not bool(weights.sum() > 0):
        raise ValueError("weights sum to zero: at least one anchor needs a positive weight")


def working_dtype(*tensors: Tensor) -> torch.dtype:
    """The widest dtype among ``tensors``, float32 at least."""
    dtype = torch.float32
    for tensor in tensors:
        dtype = torch.promote_types(dtype, tensor.dtype)
    return dtype


def _describe(tensor: Tensor) -> str:
    return f"{tensor.dtype} of shape {tuple(tensor.shape)}"
