"""A whole trajectory of the flow as one differentiable operation: forwards the solver's steps, backwards their adjoint.

A step is ``s_{k+1} = keep_k s_k + sum_i weight_{k,i} D_{k-i}`` (`lzn.flow.multistep`). With ``L_k`` the gradient of
the loss with respect to ``s_k``, its adjoint is

    grad D_k = sum_i weight_{k+i,i} L_{k+i+1}
    L_k      = keep_k L_{k+1} + (dD_k / ds_k)^T grad D_k

and each anchor collects ``(dD_k / da)^T grad D_k`` over all k, in float64. The states ``s_k`` are all that is kept in
between: O(m q r) numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lzn.flow.assignment import EARLY_NOISE_LEVEL, AnchorSet, in_full_precision
from lzn.flow.multistep import MAX_ORDER, Step, add_grad_of_mean
from lzn.flow.straight_start import StraightStart


@dataclass(frozen=True)
class Trajectory:
    """Where states end (m, q), float64, and at each of r steps ``log P(a_target | s)``, (r, m), if asked for."""

    end: Tensor
    target_log_probability: Tensor | None


def integrate_flow(
    zones: AnchorSet,
    state: Tensor,
    steps: Sequence[Step],
    *,
    start: StraightStart | None = None,
    targets: Tensor | None = None,
) -> Trajectory:
    """Move shifted states (m, q), float64, along ``steps``; differentiable in the states and the anchors.

    Args:
        zones: the anchors.
        state: where the states are.
        steps: the solver's steps.
        start: the first of them that are straight lines; without ``targets`` only.
        targets: index of each state's target anchor, int64 (m,).
    """
    assert start is None or targets is None
    if start is None:
        start = StraightStart(0, torch.empty(0, dtype=torch.int64, device=state.device))
    end, log_probability = _Follow.apply(state, zones.points, zones, tuple(steps), start, targets)
    return Trajectory(end, None if targets is None else log_probability)


class _Follow(torch.autograd.Function):
    """The steps, and their adjoint."""

    @staticmethod
    def forward(  # noqa: PLR0917 - autograd functions take their arguments by position
        ctx: Any,
        state: Tensor,
        points: Tensor,
        zones: AnchorSet,
        steps: tuple[Step, ...],
        start: StraightStart,
        targets: Tensor | None,
    ) -> tuple[Tensor, Tensor | None]:
        first, means = start.num_steps, []
        if first:
            own = points[start.nearest]
            state = own + (steps[first - 1].tau_next / steps[0].tau) * (state - own)
            means = [own] * min(first, MAX_ORDER - 1)
        states: list[Tensor] = []
        log_probabilities: list[Tensor] = []
        keys = {dtype: zones.keys(dtype) for dtype in {_dtype_at(zones, step.tau) for step in steps[first:]}}
        for step in steps[first:]:
            dtype = _dtype_at(zones, step.tau)
            state = state.to(dtype)
            states.append(state)
            mean, log_probability = keys[dtype].assign(state, step.tau, targets)
            if log_probability is not None:
                log_probabilities.append(log_probability.to(zones.working_dtype))
            means = [mean, *means[: MAX_ORDER - 1]]
            state = step.advance(state, means)
        ctx.save_for_backward(*states)
        ctx.zones, ctx.steps, ctx.start, ctx.targets = _detached(zones), steps, start, targets
        return state.double(), torch.stack(log_probabilities) if log_probabilities else None

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():  # create_graph=True would leave this part out of a second derivative
            raise RuntimeError("the flow has first derivatives only: call backward without create_graph")
        grad_end, grad_log_probability = grads
        zones, steps, first, targets = ctx.zones, ctx.steps, ctx.start.num_steps, ctx.targets
        grad_points = torch.zeros_like(zones.points)
        keys = {dtype: zones.keys(dtype) for dtype in {state.dtype for state in ctx.saved_tensors}}
        later = {len(steps): grad_end}  # gradients of the states after step k
        with in_full_precision(grad_end.device):
            for k in reversed(range(first, len(steps))):
                state = ctx.saved_tensors[k - first]
                grad_mean = add_grad_of_mean(steps, k, torch.zeros_like(state), later)
                grad_target = None if targets is None else grad_log_probability[k].to(state.dtype)
                grad = keys[state.dtype].assign_backward(state, steps[k].tau, grad_mean, targets, grad_target)
                grad_points += grad.anchors
                later[k] = grad.state.add_(later[k + 1].to(state.dtype), alpha=steps[k].keep)
                later.pop(k + MAX_ORDER, None)
            grad_state = later.pop(first).double()
            if first:  # s = a + stretch (s - a)
                grad_own = grad_state
                grad_state = (steps[first - 1].tau_next / steps[0].tau) * grad_own
                grad_own = grad_own - grad_state
                for k in range(
                    max(0, first - MAX_ORDER + 1), first
                ):  # later steps remember the straight ones
                    add_grad_of_mean(steps, k, grad_own, later)
                grad_points.index_add_(0, ctx.start.nearest, grad_own)
        return grad_state, grad_points, None, None, None, None


def _dtype_at(zones: AnchorSet, tau: float) -> torch.dtype:
    return torch.float64 if tau < EARLY_NOISE_LEVEL else zones.working_dtype


def _detached(zones: AnchorSet) -> AnchorSet:
    return AnchorSet(zones.points.detach(), zones.centre, zones.log_weights, zones.working_dtype)
