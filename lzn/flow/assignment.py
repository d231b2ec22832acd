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
from dataclasses import dataclass
from typing import Any, NamedTuple

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

    def enter(self, points: Tensor, tau: float) -> Tensor:
        """Points (m, q) at noise level ``tau`` in shifted coordinates, float64."""
        return points.double() - (1.0 - tau) * self.centre

    def leave(self, state: Tensor, tau: float) -> Tensor:
        """The inverse of `enter`."""
        return state.double() + (1.0 - tau) * self.centre

    def assign(self, state: Tensor, tau: float, targets: Tensor | None = None) -> Assignment:
        """Posterior mean and target log-probability of shifted states (m, q) at noise level ``tau``."""
        dtype = torch.float64 if tau < EARLY_NOISE_LEVEL else self.working_dtype
        log_weights = None if self.log_weights is None else self.log_weights.to(dtype)
        mean, log_probability = _Assign.apply(
            state.to(dtype), self.points.to(dtype), log_weights, targets, tau
        )
        return Assignment(mean, None if targets is None else log_probability)


class _Assign(torch.autograd.Function):
    """Row-blocked attention that recomputes its blocks in the backward pass."""

    @staticmethod
    def forward(  # noqa: PLR0917 - autograd functions take their arguments by position
        ctx: Any,
        state: Tensor,
        anchors: Tensor,
        log_weights: Tensor | None,
        targets: Tensor | None,
        tau: float,
    ) -> tuple[Tensor, Tensor]:
        scale, bias = _scale_and_bias(anchors, log_weights, tau)
        mean = torch.empty_like(state)
        log_probability = state.new_zeros(len(state))
        for rows in row_blocks(len(state)):
            logits = torch.addmm(bias, state[rows], anchors.T, alpha=scale)
            if targets is None:
                probability = logits.softmax(dim=1)
            else:
                logits = logits.log_softmax(dim=1)
                log_probability[rows] = logits.gather(1, targets[rows, None])[:, 0]
                probability = logits.exp_()
            torch.mm(probability, anchors, out=mean[rows])
        ctx.save_for_backward(state, anchors, log_weights, targets)
        ctx.tau = tau
        return mean, log_probability

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():  # create_graph=True would leave this part out of a second derivative
            raise RuntimeError("the flow has first derivatives only: call backward without create_graph")
        grad_mean, grad_log_probability = grads
        state, anchors, log_weights, targets = ctx.saved_tensors
        with torch.autocast(state.device.type, enabled=False):
            scale, bias = _scale_and_bias(anchors, log_weights, ctx.tau)
            grad_state = torch.empty_like(state)
            grad_anchors = torch.zeros_like(anchors)
            grad_bias = torch.zeros_like(bias)
            for rows in row_blocks(len(state)):
                probability = torch.addmm(bias, state[rows], anchors.T, alpha=scale).softmax(dim=1)
                grad_anchors.addmm_(probability.T, grad_mean[rows])
                grad_logits = grad_mean[rows] @ anchors.T
                grad_logits -= (probability * grad_logits).sum(dim=1, keepdim=True)
                if targets is not None:
                    grad_logits -= grad_log_probability[rows, None]
                grad_logits *= probability
                if targets is not None:
                    grad_logits.scatter_add_(1, targets[rows, None], grad_log_probability[rows, None])
                torch.mm(grad_logits, anchors, out=grad_state[rows]).mul_(scale)
                grad_anchors.addmm_(grad_logits.T, state[rows], alpha=scale)
                grad_bias += grad_logits.sum(dim=0)
            grad_anchors -= ((1.0 - ctx.tau) * scale) * grad_bias[:, None] * anchors
        return grad_state, grad_anchors, None, None, None


def _log_shares(weights: Tensor) -> Tensor:
    shares = weights.detach().double()
    return (shares / shares.sum()).log()


def _scale_and_bias(anchors: Tensor, log_weights: Tensor | None, tau: float) -> tuple[float, Tensor]:
    """Scale ``t / tau^2`` of the inner products and bias (n,) of each key."""
    t = 1.0 - tau
    scale = t / tau**2
    bias = (-0.5 * t * scale) * anchors.square().sum(dim=1)
    return scale, bias if log_weights is None else bias + log_weights


def row_blocks(num_rows: int) -> Iterator[slice]:
    """Slices of `ROWS_PER_BLOCK` rows that cover ``num_rows``."""
    for start in range(0, num_rows, ROWS_PER_BLOCK):
        yield slice(start, start + ROWS_PER_BLOCK)


def check_points(name: str, points: Tensor, *, dim: int | None = None) -> None:
    """Raise ValueError unless ``points`` is a floating (rows, q) tensor with ``dim`` columns and at least one row."""
    if points.ndim != 2 or not points.is_floating_point() or len(points) == 0:
        raise ValueError(
            f"{name} must be a floating-point tensor (rows, q) with rows, got {_describe(points)}"
        )
    if dim is not None and points.shape[1] != dim:
        raise ValueError(f"{name} must have {dim} columns like the anchors, got {_describe(points)}")


def check_anchors(name: str, anchors: Tensor) -> None:
    """Raise ValueError unless ``anchors`` is (n, q), and `NonFiniteAnchorsError` unless it is finite."""
    check_points(name, anchors)
    if not bool(torch.isfinite(anchors.detach()).all()):
        raise NonFiniteAnchorsError(
            f"{name} hold NaN or infinity; lower the encoder's learning rate or clip gradients"
        )


def check_weights(weights: Tensor | None, num_anchors: int) -> None:
    """Raise ValueError unless ``weights`` is (n,), finite, non-negative and of positive sum."""
    if weights is None:
        return
    if weights.shape != (num_anchors,):
        raise ValueError(
            f"weights must have shape ({num_anchors},), one for each anchor, got {_describe(weights)}"
        )
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
