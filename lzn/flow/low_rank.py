"""The flow towards fewer anchors than dimensions, in n coordinates: labels have c anchors, c << q (section 5).

States that start at ``S_0`` (m, q) remain of the form ``S_k = kept_k S_0 + B_k^T A``, where the rows of ``A`` are the n
anchors and ``B_k`` (n, m) are mixture weights. Assignments need only the inner products of states and anchors,

    A S_k^T = kept_k X_0 + G B_k,   X_0 = A S_0^T  (n, m),   G = A A^T  (n, n)

so a step costs one product of (n, n) with (n, m) instead of two of (m, q) with (q, n), and its backward pass two
instead of five. Arrays with q columns appear only at the beginning and at the end. The result is exact, and everything
is float64. Anchors are the first axis of arrays here, so that a softmax over few anchors runs over many states at once.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from operator import mul
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lzn.base.devices import constant
from lzn.flow.assignment import AnchorSet, logit_factors
from lzn.flow.multistep import MAX_ORDER, Step, add_grad_of_mean
from lzn.flow.trajectory import Trajectory, refuse_second_derivative


def integrate_flow_low_rank(
    anchor_set: AnchorSet, state: Tensor, steps: Sequence[Step], *, targets: Tensor | None = None
) -> Trajectory:
    """Compute what `lzn.flow.trajectory.integrate_flow` does, faster for fewer anchors than dimensions.

    Args:
        anchor_set: the anchors.
        state: shifted states (m, q), float64.
        steps: the solver's steps.
        targets: index of each state's target anchor, int64 (m,).
    """
    gram = anchor_set.points @ anchor_set.points.T
    inner = anchor_set.points @ state.T
    mixture, log_probability, assigned = _IntegrateLowRank.apply(
        inner, gram, anchor_set.log_weights, tuple(steps), targets
    )
    end = torch.addmm(state, mixture.T, anchor_set.points, beta=math.prod(step.keep for step in steps))
    log_probability = None if targets is None else log_probability.to(anchor_set.working_dtype)
    return Trajectory(end, log_probability, assigned)


class _IntegrateLowRank(torch.autograd.Function):
    """From inner products X_0 (n, m) and G (n, n) to mixture weights B_r (n, m) and log-probabilities (r, m).

    The third result is the index of the likeliest anchor at the last step (m,).
    """

    @staticmethod
    def forward(  # noqa: PLR0917 - autograd functions take their arguments by position
        ctx: Any,
        inner: Tensor,
        gram: Tensor,
        log_weights: Tensor | None,
        steps: tuple[Step, ...],
        targets: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        biases = -_factors(steps, gram.device).half[:, None] * gram.diagonal()
        if log_weights is not None:
            biases += log_weights
        mixtures = inner.new_zeros((len(steps) + 1, *inner.shape))
        logits = inner.new_empty((len(steps), *inner.shape))
        probabilities = torch.empty_like(logits)
        kept = 1.0
        for k, step in enumerate(steps):
            scale, _ = logit_factors(step.tau)
            torch.addmm(inner, gram, mixtures[k], beta=scale * kept, alpha=scale, out=logits[k])
            kept *= step.keep
            torch.softmax(logits[k].add_(biases[k][:, None]), dim=0, out=probabilities[k])
            torch.mul(mixtures[k], step.keep, out=mixtures[k + 1])
            for i, weight in enumerate(step.weights):
                mixtures[k + 1].add_(probabilities[k - i], alpha=weight)
        ctx.save_for_backward(gram, targets, mixtures, probabilities)
        ctx.steps = steps
        log_probabilities = inner.new_empty(0)
        if targets is not None:
            chosen = targets.expand(len(steps), 1, -1)
            log_probabilities = logits.log_softmax(dim=1).gather(1, chosen)[:, 0]
        assigned = probabilities[-1].argmax(dim=0)
        ctx.mark_non_differentiable(assigned)
        return mixtures[-1].clone(), log_probabilities, assigned

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        refuse_second_derivative()
        grad_mixture, grad_log_probabilities, _ = grads
        gram, targets, mixtures, probabilities = ctx.saved_tensors
        steps: tuple[Step, ...] = ctx.steps
        grad_logits = torch.zeros_like(probabilities)
        if targets is not None:
            chosen = targets.expand(len(steps), 1, -1)
            grad_logits.addcmul_(probabilities, grad_log_probabilities[:, None], value=-1.0)
            grad_logits.scatter_add_(1, chosen, grad_log_probabilities[:, None])
        mixture_grads = {len(steps): grad_mixture}  # by the mixtures' numbers
        for k in reversed(range(len(steps))):
            grad = add_grad_of_mean(steps, k, torch.zeros_like(grad_mixture), mixture_grads).mul_(
                probabilities[k]
            )
            grad_logits[k] += grad.addcmul_(probabilities[k], grad.sum(dim=0, keepdim=True), value=-1.0)
            scale, _ = logit_factors(steps[k].tau)
            mixture_grads[k] = torch.addmm(
                mixture_grads[k + 1], gram, grad_logits[k], beta=steps[k].keep, alpha=scale
            )
            mixture_grads.pop(k + MAX_ORDER, None)
        factors = _factors(steps, gram.device)
        grad_inner = torch.tensordot(factors.scale * factors.kept, grad_logits, dims=1)
        grad_bias = grad_logits.sum(dim=2)
        grad_logits *= factors.scale[:, None, None]
        grad_gram = torch.tensordot(grad_logits, mixtures[:-1], dims=([0, 2], [0, 2]))
        grad_gram.diagonal().sub_(factors.half @ grad_bias)
        return grad_inner, grad_gram, None, None, None


class _Factors(NamedTuple):
    """For each step: the two factors of its logits, and the factor of ``S_0`` before it; each (r,), float64."""

    scale: Tensor
    half: Tensor
    kept: Tensor


@lru_cache(maxsize=16)
def _factors(steps: tuple[Step, ...], device: torch.device) -> _Factors:
    scales, halves = zip(*(logit_factors(step.tau) for step in steps), strict=True)
    kept = accumulate((step.keep for step in steps[:-1]), mul, initial=1.0)
    values = constant((*scales, *halves, *kept), dtype=torch.float64, device=device)
    return _Factors(*values.view(3, -1))
