"""The flow towards a few anchors, in as many coordinates: labels have c anchors in q >> c dimensions (section 5).

States that set out from ``S_0`` (m, q) stay in ``S_k = kept_k S_0 + B_k^T A``, where the rows of ``A`` are the n
anchors and ``B_k`` (n, m) mixes them. Assignments see them through inner products with the anchors alone,

    A S_k^T = kept_k X_0 + G B_k,   X_0 = A S_0^T  (n, m),   G = A A^T  (n, n)

so a step costs one product of (n, n) with (n, m) instead of two of (m, q) with (q, n), backwards two instead of five,
and the q dimensions are met at the beginning and at the end only. It is exact, and cheap enough for float64 throughout.
Anchors come first in every array here, so that a softmax over a few of them runs over many states at once.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from operator import mul
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lzn.flow.assignment import AnchorSet, logit_factors
from lzn.flow.multistep import MAX_ORDER, Step, add_grad_of_mean
from lzn.flow.trajectory import Trajectory


def integrate_flow_low_rank(
    zones: AnchorSet, state: Tensor, steps: Sequence[Step], *, targets: Tensor | None = None
) -> Trajectory:
    """`lzn.flow.trajectory.integrate_flow`, for fewer anchors than dimensions.

    Args:
        zones: the anchors.
        state: shifted states (m, q), float64.
        steps: the solver's steps.
        targets: index of each state's target anchor, int64 (m,).
    """
    gram = zones.points @ zones.points.T
    inner = zones.points @ state.T
    mixture, log_probability = _Mix.apply(inner, gram, zones.log_weights, tuple(steps), targets)
    end = torch.addmm(state, mixture.T, zones.points, beta=math.prod(step.keep for step in steps))
    return Trajectory(end, None if targets is None else log_probability.to(zones.working_dtype))


class _Mix(torch.autograd.Function):
    """From inner products X_0 (n, m) and G (n, n) to the mixture B_r (n, m) and the log-probabilities (r, m)."""

    @staticmethod
    def forward(  # noqa: PLR0917 - autograd functions take their arguments by position
        ctx: Any,
        inner: Tensor,
        gram: Tensor,
        log_weights: Tensor | None,
        steps: tuple[Step, ...],
        targets: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
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
        return mixtures[-1].clone(), log_probabilities

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():  # create_graph=True would leave this part out of a second derivative
            raise RuntimeError("the flow has first derivatives only: call backward without create_graph")
        grad_mixture, grad_log_probabilities = grads
        gram, targets, mixtures, probabilities = ctx.saved_tensors
        steps: tuple[Step, ...] = ctx.steps
        grad_logits = torch.zeros_like(probabilities)
        if targets is not None:
            chosen = targets.expand(len(steps), 1, -1)
            grad_logits.addcmul_(probabilities, grad_log_probabilities[:, None], value=-1.0)
            grad_logits.scatter_add_(1, chosen, grad_log_probabilities[:, None])
        later = {len(steps): grad_mixture}  # gradients of the mixtures
        for k in reversed(range(len(steps))):
            grad = add_grad_of_mean(steps, k, torch.zeros_like(grad_mixture), later).mul_(probabilities[k])
            grad_logits[k] += grad.addcmul_(probabilities[k], grad.sum(dim=0, keepdim=True), value=-1.0)
            scale, _ = logit_factors(steps[k].tau)
            later[k] = torch.addmm(later[k + 1], gram, grad_logits[k], beta=steps[k].keep, alpha=scale)
            later.pop(k + MAX_ORDER, None)
        factors = _factors(steps, gram.device)
        grad_inner = torch.tensordot(factors.scale * factors.kept, grad_logits, dims=1)
        grad_bias = grad_logits.sum(dim=2)
        grad_logits *= factors.scale[:, None, None]
        grad_gram = torch.tensordot(grad_logits, mixtures[:-1], dims=([0, 2], [0, 2]))
        grad_gram.diagonal().sub_(factors.half @ grad_bias)
        return grad_inner, grad_gram, None, None, None


class _Factors(NamedTuple):
    """Of each step: the logits' two factors, and how much of ``S_0`` is left before it; (r,) each, float64."""

    scale: Tensor
    half: Tensor
    kept: Tensor


@lru_cache(maxsize=16)  # copying them to an accelerator would wait for it in every training step
def _factors(steps: tuple[Step, ...], device: torch.device) -> _Factors:
    scales, halves = zip(*(logit_factors(step.tau) for step in steps), strict=True)
    kept = accumulate((step.keep for step in steps[:-1]), mul, initial=1.0)
    values = torch.tensor([scales, halves, list(kept)], dtype=torch.float64, device=device)
    return _Factors(*values)
