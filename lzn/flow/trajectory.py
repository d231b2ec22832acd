"""A whole trajectory of the flow as one differentiable operation: the solver's steps, and their adjoint.

A step is ``s_{k+1} = keep_k s_k + sum_i weight_{k,i} D_{k-i}`` (`lzn.flow.multistep`). With ``L_k`` the gradient of
the loss with respect to ``s_k``, its adjoint is

    grad D_k = sum_i weight_{k+i,i} L_{k+i+1}
    L_k      = keep_k L_{k+1} + (dD_k / ds_k)^T grad D_k

and the gradient of each anchor is the sum of ``(dD_k / da)^T grad D_k`` over k, in float64. Only the states ``s_k``
are kept for the backward pass: O(m q r) numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lzn.base.full_precision import full_precision
from lzn.flow.assignment import AnchorSet, Keys
from lzn.flow.multistep import MAX_ORDER, Step, add_grad_of_mean
from lzn.flow.precision import dtype_at
from lzn.flow.straight_start import StraightStart


@dataclass(frozen=True)
class Trajectory:
    """End points (m, q), float64, and ``log P(a_target | s)`` at each of r steps, (r, m), or None without targets.

    ``assigned`` is the index of the anchor with the largest probability at the last step, int64 (m,).
    """

    end: Tensor
    target_log_probability: Tensor | None
    assigned: Tensor


def integrate_flow(
    anchor_set: AnchorSet,
    state: Tensor,
    steps: Sequence[Step],
    *,
    start: StraightStart | None = None,
    targets: Tensor | None = None,
) -> Trajectory:
    """Move shifted states (m, q), float64, along ``steps``; differentiable in the states and the anchors.

    Args:
        anchor_set: the anchors.
        state: states at the first step's noise level.
        steps: the solver's steps.
        start: the first steps, which are solved in closed form; only without ``targets``.
        targets: index of each state's target anchor, int64 (m,).
    """
    assert start is None or targets is None
    if start is None:
        start = StraightStart(0, torch.empty(0, dtype=torch.int64, device=state.device))
    end, log_probability, assigned = _IntegrateFlow.apply(
        state, anchor_set.points, anchor_set, tuple(steps), start, targets
    )
    return Trajectory(end, None if targets is None else log_probability, assigned)


class _IntegrateFlow(torch.autograd.Function):
    """The steps, and their adjoint; only first derivatives."""

    @staticmethod
    def forward(  # noqa: PLR0917 - autograd functions take their arguments by position
        ctx: Any,
        state: Tensor,
        points: Tensor,
        anchor_set: AnchorSet,
        steps: tuple[Step, ...],
        start: StraightStart,
        targets: Tensor | None,
    ) -> tuple[Tensor, Tensor | None, Tensor]:
        first, means = start.num_steps, []
        if first:
            own = points[start.samples]
            state = own + (steps[first - 1].tau_next / steps[0].tau) * (state - own)
            means = [own] * min(first, MAX_ORDER - 1)
        assigned = start.samples
        states: list[Tensor] = []
        log_probabilities: list[Tensor] = []
        dtypes = [dtype_at(step.tau, anchor_set.working_dtype) for step in steps]
        keys = {dtype: anchor_set.keys(dtype) for dtype in set(dtypes[first:])}
        for step, dtype in zip(steps[first:], dtypes[first:], strict=True):
            state = state.to(dtype)
            states.append(state)
            mean, log_probability, likeliest = keys[dtype].assign(
                state, step.tau, targets, with_likeliest=step is steps[-1]
            )
            assigned = assigned if likeliest is None else likeliest
            if log_probability is not None:
                log_probabilities.append(log_probability.to(anchor_set.working_dtype))
            means = [mean, *means[: MAX_ORDER - 1]]
            state = step.advance(state, means)
        ctx.save_for_backward(points, anchor_set.log_weights, targets, start.samples, *states)
        ctx.steps, ctx.num_straight = steps, first
        ctx.mark_non_differentiable(assigned)
        return state.double(), torch.stack(log_probabilities) if log_probabilities else None, assigned

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        refuse_second_derivative()
        grad_end, grad_log_probability, _ = grads
        steps, first = ctx.steps, ctx.num_straight
        # Once: each access unpacks all tensors, and activation checkpointing allows one.
        points, log_weights, targets, samples, *states = ctx.saved_tensors
        grad_points = torch.zeros_like(points)
        keys = {dtype: Keys.build(points, log_weights, dtype) for dtype in {state.dtype for state in states}}
        state_grads = {len(steps): grad_end}  # by the states' numbers
        with full_precision(grad_end.device):
            for k in reversed(range(first, len(steps))):
                state = states[k - first]
                grad_mean = add_grad_of_mean(steps, k, torch.zeros_like(state), state_grads)
                grad_target = None if targets is None else grad_log_probability[k].to(state.dtype)
                grad = keys[state.dtype].assign_backward(state, steps[k].tau, grad_mean, targets, grad_target)
                grad_points += grad.anchors
                state_grads[k] = grad.state.add_(state_grads[k + 1].to(state.dtype), alpha=steps[k].keep)
                state_grads.pop(k + MAX_ORDER, None)
            grad_state = state_grads.pop(first).double()
            if first:  # s_first = a + (tau_first / tau_0) (s_0 - a)
                grad_own = grad_state
                grad_state = (steps[first - 1].tau_next / steps[0].tau) * grad_own
                grad_own = grad_own - grad_state
                # The closed form's posterior means are in the history of the steps after it.
                for k in range(max(0, first - MAX_ORDER + 1), first):
                    add_grad_of_mean(steps, k, grad_own, state_grads)
                grad_points.index_add_(0, samples, grad_own)
        return grad_state, grad_points, None, None, None, None


def refuse_second_derivative() -> None:
    """Raise RuntimeError in a backward pass with ``create_graph=True``: the second derivative would lack the flow."""
    if torch.is_grad_enabled():
        raise RuntimeError("the flow has first derivatives only: call backward without create_graph")
